"""What is used again: the connection used last, and the cursor of a statement, without the rows that it returned."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from jobsite.lib.connections.base import Pool
from jobsite.lib.connections.connection import Connection
from jobsite.lib.db import fetch
from tests.race import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

ECHO, DIVIDE = "SELECT $1::text, $2::integer[]", "SELECT 6 / $1::integer"


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool of three idle connections."""
    params = connection.get_connection_params() | {"autocommit": True}
    with Pool(kwargs=params, min_size=3, max_size=3, open=False) as pool:
        pool.wait(PATIENCE)
        yield pool


@pytest.fixture
def one(pool: Pool) -> Iterator[Connection]:
    """A connection."""
    with pool.connection() as one:
        yield one


def test_the_connection_that_was_used_last_is_used_again(pool: Pool) -> None:
    with pool.connection() as first, pool.connection() as second:
        assert first is not second
    # They go back in the order in which these blocks end: the first last.
    for _ in range(6):
        with pool.connection() as again:
            assert again is first


def test_all_connections_are_used_at_once(pool: Pool) -> None:
    with pool.connection() as first, pool.connection() as second, pool.connection() as third:
        assert len({id(first), id(second), id(third)}) == 3


def test_the_same_statement_returns_what_each_call_asks_for(one: Connection) -> None:
    asked = [["a", [0]], ["b", [1, 2]], ["ä" * 10_000, [3]]]
    assert [one.fetch(ECHO, params) for params in asked] == [[tuple(params)] for params in asked]


def test_parameters_may_be_missing_or_empty_at_any_call(one: Connection) -> None:
    asked = [["a", None], [None, []], ["b", [1]], [None, None], ["c", [2**31 - 1]]]
    assert [one.fetch(ECHO, params) for params in asked] == [[tuple(params)] for params in asked]


def test_a_call_that_fails_leaves_nothing_for_the_next(one: Connection) -> None:
    assert one.fetch(DIVIDE, [2]) == [(3,)]
    with pytest.raises(psycopg.errors.DivisionByZero):
        one.fetch(DIVIDE, [0])
    assert one.fetch(DIVIDE, [3]) == [(2,)]


def test_rows_that_were_returned_are_not_kept(one: Connection) -> None:
    one.fetch(ECHO, ["a" * 100_000, []])
    (cursor,) = one.cursors.values()
    assert cursor.pgresult is None
    assert cursor._tx.pgresult is None


def test_a_call_that_fails_leaves_its_transaction_as_it_was() -> None:
    with transaction.atomic():
        with pytest.raises(DatabaseError):
            fetch(DIVIDE, [0])
        assert fetch(DIVIDE, [3]) == [(2,)]
