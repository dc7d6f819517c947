"""Histograms: which bucket a value falls into, in Python and in SQL, and how fine buckets are put together. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Buckets:
    """Buckets by their upper edges, in rising order.

    Bucket n has what is above edge n - 1 and at most edge n. One bucket more has what is above the last edge.
    """

    edges: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.edges) + 1

    @classmethod
    def finer_than(cls, *coarse: "Buckets") -> "Buckets":
        """The buckets of which each of these is made without a rest: they have all edges of all of them."""
        return cls(tuple(sorted({edge for buckets in coarse for edge in buckets.edges})))

    def bucket(self, value: float) -> int:
        """The bucket of this value."""
        return bisect_left(self.edges, value)

    def sql(self, value: str) -> str:
        """The same as an SQL expression; `value` is one, too. It is NULL where the value is."""
        # `width_bucket` counts an edge to the bucket above it. With all signs changed it is the one below.
        edges = ", ".join(repr(-edge) for edge in reversed(self.edges))
        return f"({len(self.edges)} - width_bucket(-({value})::double precision, ARRAY[{edges}]::double precision[]))"

    def regroup(self, counts: Mapping[int, int], onto: "Buckets") -> list[int]:
        """Counts by bucket, put together to the buckets of `onto`, which has no edges but these: one count for each."""
        sums = [0] * len(onto)
        for bucket, n in counts.items():
            sums[onto.bucket(self.edges[bucket]) if bucket < len(self.edges) else -1] += n
        return sums


def from_json(counts: Mapping[str, int]) -> Counter[int]:
    """Counts by bucket as the database keeps them: a JSON object, without the buckets that are empty."""
    return Counter({int(bucket): n for bucket, n in counts.items()})


def added(rows: Iterable[Mapping[str, int]]) -> Counter[int]:
    """The sums of several such objects."""
    sums: Counter[int] = Counter()
    for row in rows:
        sums.update(from_json(row))
    return sums


#: Most rows are new, or have nothing to add: those need no sum.
_ADDED = """CASE WHEN {first} = '{{}}' THEN {second} WHEN {second} = '{{}}' THEN {first} ELSE (
            SELECT jsonb_object_agg(bucket, n)
            FROM (SELECT key AS bucket, sum(value::bigint) AS n
                  FROM (SELECT * FROM jsonb_each_text({first})
                        UNION ALL SELECT * FROM jsonb_each_text({second})) AS parts
                  GROUP BY key) AS sums) END"""


def added_sql(first: str, second: str) -> str:
    """The sum of two such objects as an SQL expression. Both are expressions of type jsonb."""
    return _ADDED.format(first=first, second=second)
