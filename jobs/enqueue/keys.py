"""What becomes of new jobs whose key another job has: that one stays, or gets their content."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jobs import lifecycle
from jobs.enqueue.statements import run
from jobs.lifecycle import By
from jobs.states import Added, OnConflict, Unique
from jobsite.lib.errors import Unavailable

#: A key of a kind.
Key = tuple[str, str]
#: How often new jobs are tried whose keys others take and let go in between.
MAX_ROUNDS = 50


def last_of_each(keys: Sequence[Key | None]) -> list[int]:
    """Return the positions of new jobs that count: all without a key, and the last one of each key."""
    last = {key: position for position, key in enumerate(keys) if key is not None}
    return [position for position, key in enumerate(keys) if key is None or last[key] == position]


def holders(keys: Collection[Key]) -> dict[Key, tuple[int, str]]:
    """The jobs that have these keys now: `(id, how long it keeps the key)`."""
    named = list(keys)
    rows = run("holders", kinds=[kind for kind, _ in named], keys=[key for _, key in named]) if named else []
    return {named[row["position"]]: (row["id"], row["unique_mode"]) for row in rows}


def insert_or_settle(rows: Sequence[Mapping[str, Any]], by: By, *, taken: bool = False) -> list[tuple[int, Added]]:
    """Insert new jobs of different keys, as `enqueue.sql` takes them. Returns `(id, what became of it)` for each.

    `taken`: they were tried already. `by` is who replaces jobs that are there. A job that lets its key go while we
    look for it leaves it to the new one, which is then tried again.
    """
    done: dict[int, tuple[int, Added]] = {}
    left = dict(enumerate(rows))
    for _ in range(MAX_ROUNDS):
        if not taken:
            ids = run("enqueue", rows=list(left.values()))
            done |= {n: (row["id"], Added.CREATED) for n, row in zip(left, ids, strict=True) if row["id"] is not None}
            left = {n: row for n, row in left.items() if n not in done}
        if left:
            done |= _settled(left, by)
            left = {n: row for n, row in left.items() if n not in done}
        if not left:
            return [done[n] for n in range(len(rows))]
        taken = False
    raise Unavailable("The keys of these jobs are taken and let go too often just now. Nothing was enqueued.")


def _settled(left: Mapping[int, Mapping[str, Any]], by: By) -> dict[int, tuple[int, Added]]:
    """The new jobs that have found the one with their key, which perhaps was replaced."""
    having = holders({_key(row) for row in left.values()})
    found = {n: having[_key(row)] for n, row in left.items() if _key(row) in having}
    wanted = {
        holder: left[n]
        for n, (holder, mode) in found.items()
        if left[n]["on_conflict"] == OnConflict.REPLACE and mode == Unique.PENDING
    }
    replaced = {change.id for change in lifecycle.replace(wanted, by=by)}
    return {
        n: (holder, Added.REPLACED if holder in replaced else Added.EXISTING)
        for n, (holder, _) in found.items()
        # One that was claimed just now has let its key go.
        if holder not in wanted or holder in replaced
    }


def _key(row: Mapping[str, Any]) -> Key:
    return row["kind"], row["key"]
