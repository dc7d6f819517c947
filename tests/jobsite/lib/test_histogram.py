"""A value falls into the same bucket in Python and in SQL, and fine buckets are put together without a rest."""

import json
import random
from collections import Counter

import pytest
from django.db import connection

from jobs.stats.times import FINE, HOME, LEARNED, METRICS
from jobsite.lib import histogram
from jobsite.lib.histogram import Buckets

FEW = Buckets((0.1, 1.0, 60.0))


@pytest.mark.parametrize(
    ("value", "bucket"), [(0, 0), (0.1, 0), (0.100001, 1), (1, 1), (59, 2), (60, 2), (60.000001, 3), (1e9, 3)]
)
def test_an_edge_belongs_to_the_bucket_that_it_ends(value, bucket):
    assert FEW.bucket(value) == bucket
    assert len(FEW) == 4


@pytest.mark.django_db
@pytest.mark.parametrize("buckets", [FEW, FINE, HOME, LEARNED, METRICS], ids=len)
def test_sql_says_the_same(buckets):
    dice = random.Random(5)
    values = [0.0, 1e9, *buckets.edges, *(dice.lognormvariate(1, 4) for _ in range(500))]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {buckets.sql('v')} FROM unnest(%s::double precision[]) AS v", [values])
        assert [row[0] for row in cursor.fetchall()] == [buckets.bucket(value) for value in values]
        cursor.execute(f"SELECT {buckets.sql('NULL')}")
        assert cursor.fetchone() == (None,)


@pytest.mark.parametrize("coarse", [HOME, LEARNED, METRICS], ids=["home", "learned", "metrics"])
def test_fine_buckets_make_each_coarse_one_without_a_rest(coarse):
    dice = random.Random(6)
    values = [*FINE.edges, *(dice.lognormvariate(1, 4) for _ in range(2000))]
    fine = Counter(FINE.bucket(value) for value in values)
    direct = Counter(coarse.bucket(value) for value in values)
    assert FINE.regroup(fine, coarse) == [direct[bucket] for bucket in range(len(coarse))]


def test_the_buckets_of_rows_that_are_there_keep_their_numbers():
    """Rows name buckets by number: an edge that is added or moved needs a migration of the rows."""
    assert len(FINE) == 222
    assert [FINE.bucket(edge) for edge in HOME.edges] == [
        24, 31, 39, 48, 57, 65, 74, 82, 91, 99, 108, 116, 125, 133, 141, 149, 158, 166,
    ]  # fmt: skip
    assert [FINE.bucket(edge) for edge in METRICS.edges] == [24, 43, 52, 71, 85, 101, 121, 134, 151, 168]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("first", "second"), [({}, {"3": 1}), ({"3": 1}, {}), ({"3": 1, "7": 2**40}, {"7": 5, "9": 1})]
)
def test_counts_of_buckets_are_added_alike(first, second):
    with connection.cursor() as cursor:
        sql = histogram.added_sql("%(a)s::jsonb", "%(b)s::jsonb")
        cursor.execute(f"SELECT {sql}", {"a": json.dumps(first), "b": json.dumps(second)})
        said = json.loads(cursor.fetchone()[0])
    assert histogram.from_json(said) == histogram.added([first, second])
