"""Django's commands that make a superuser and change a password leave an entry in the audit log, or do nothing."""

import io
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from bots.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "a long enough secret"


class Terminal(io.StringIO):
    """Where a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`types(*answers)`: what is typed, in this order. No transaction is open before each of them."""

    def answers(*given: str) -> None:
        rest = iter(given)

        def answer(*_: Any, **__: Any) -> str:
            assert not connection.in_atomic_block
            return next(rest)

        monkeypatch.setattr("builtins.input", answer)
        monkeypatch.setattr("getpass.getpass", answer)

    return answers


def entry() -> tuple[Any, ...]:
    """The only entry."""
    (one,) = AuditEntry.objects.all()
    assert SECRET not in str((one.before, one.after))
    return one.verb, one.object_type, one.object_name, one.by, one.via, one.after


@pytest.fixture
def no_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit log cannot be written."""

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(AuditEntry.objects, "bulk_create", fail)


ZOE = {"username": "zoe", "email": "zoe@example.org", "is_superuser": True}


def test_a_superuser_made_by_options_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", SECRET)
    call_command(
        "createsuperuser", "--noinput", "--username", "zoe", "--email", "zoe@example.org", stdout=io.StringIO()
    )
    assert entry() == ("create", "user", "zoe", "", "command", ZOE)
    person = User.objects.get()
    assert (person.is_superuser, person.check_password(SECRET)) == (True, True)


def test_a_superuser_made_by_answers_is_recorded(types: Any) -> None:
    types("zoe", "zoe@example.org", SECRET, SECRET)
    call_command("createsuperuser", stdin=Terminal(), stdout=io.StringIO())
    assert entry() == ("create", "user", "zoe", "", "command", ZOE)


def test_who_is_there_already_is_not_made_or_recorded(olga: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", SECRET)
    with pytest.raises(CommandError, match="already taken"):
        call_command("createsuperuser", "--noinput", "--username", "olga", "--email", "x@example.org")
    assert not AuditEntry.objects.exists()


def test_nobody_is_made_without_an_entry(no_entries: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", SECRET)
    with pytest.raises(OperationalError):
        call_command("createsuperuser", "--noinput", "--username", "zoe", "--email", "zoe@example.org")
    assert not User.objects.exists()


def test_a_changed_password_is_recorded(olga: User, types: Any) -> None:
    types("a typo", "another typo", SECRET, SECRET)
    call_command("changepassword", "olga", stdout=io.StringIO())
    assert entry() == ("change", "user", "olga", "", "command", {"password": "[hidden]"})
    olga.refresh_from_db()
    assert olga.check_password(SECRET)


def test_a_password_that_is_not_changed_is_not_recorded(olga: User, types: Any) -> None:
    types(*itertools.chain(*[("a typo", "another typo")] * 3))
    with pytest.raises(CommandError, match="Aborting"):
        call_command("changepassword", "olga", stdout=io.StringIO())
    with pytest.raises(CommandError, match="does not exist"):
        call_command("changepassword", "nobody", stdout=io.StringIO())
    assert not AuditEntry.objects.exists()


def test_no_password_is_changed_without_an_entry(olga: User, types: Any, no_entries: None) -> None:
    types(SECRET, SECRET)
    with pytest.raises(OperationalError):
        call_command("changepassword", "olga", stdout=io.StringIO())
    olga.refresh_from_db()
    assert not olga.check_password(SECRET)
