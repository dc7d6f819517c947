"""What an error of the database says: nothing was done, or that is not known."""

from collections.abc import Callable

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from psycopg import errors
from psycopg_pool import PoolTimeout

from jobsite.lib import outcomes
from jobsite.lib.connections.connection import Silent
from jobsite.lib.connections.places import NoPlace
from jobsite.lib.errors import OutcomeUnknown, Unavailable


def as_django_raises(cause: Exception) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


REFUSED = [
    errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected, errors.ReadOnlySqlTransaction,
    errors.DiskFull, errors.IdleInTransactionSessionTimeout, errors.ForeignKeyViolation,
]  # fmt: skip
LOST = [
    errors.AdminShutdown, errors.CrashShutdown, errors.ConnectionFailure, errors.ProtocolViolation,
    errors.StatementCompletionUnknown, psycopg.OperationalError, Silent,
]  # fmt: skip


@pytest.mark.parametrize("cause", REFUSED)
def test_what_the_server_refused_was_not_done(cause: type[psycopg.Error]) -> None:
    answer = outcomes.unavailable(as_django_raises(cause("no")), reads=False)
    assert isinstance(answer, Unavailable)
    assert "Nothing was changed" in answer.detail


@pytest.mark.parametrize("cause", LOST)
def test_what_a_lost_connection_was_carrying_is_not_known(cause: type[psycopg.Error]) -> None:
    answer = outcomes.unavailable(as_django_raises(cause("gone")), reads=False)
    assert isinstance(answer, OutcomeUnknown)
    assert "not known" in answer.detail


@pytest.mark.parametrize("wrap", [as_django_raises, lambda error: error])
def test_without_a_connection_nothing_was_sent(wrap: Callable[[Exception], Exception]) -> None:
    assert outcomes.nothing_done(wrap(PoolTimeout("all are in use")))
    assert outcomes.nothing_done(wrap(NoPlace("all are taken")))


def test_an_error_without_a_cause_is_not_known() -> None:
    assert not outcomes.nothing_done(InterfaceError("connection already closed"))
    assert not outcomes.nothing_done(ValueError("something else"))


def test_before_the_commit_nothing_is_done_whatever_was_lost() -> None:
    with pytest.raises(OperationalError) as lost, outcomes.before_commit():
        raise as_django_raises(psycopg.OperationalError("gone"))
    assert outcomes.nothing_done(lost.value)


@pytest.mark.parametrize(
    "error", [as_django_raises(errors.LockNotAvailable("no")), DatabaseError("no"), Unavailable("locked")]
)
def test_after_a_commit_nothing_is_promised_whatever_is_refused(error: Exception) -> None:
    with pytest.raises(OutcomeUnknown, match="Call it again"), outcomes.after_commit("Call it again."):
        raise error


def test_a_read_changes_nothing_and_says_nothing_of_it() -> None:
    answer = outcomes.unavailable(as_django_raises(psycopg.OperationalError("gone")), reads=True)
    assert isinstance(answer, Unavailable)
    assert "changed" not in answer.detail
