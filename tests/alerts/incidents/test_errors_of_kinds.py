"""Errors that are new, and errors that are back after somebody resolved them, are incidents."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from alerts.incidents import errors_of_kinds
from alerts.models import Incident
from bots.audit import Who
from jobs.error_groups import acts
from jobs.models import ErrorGroup, JobKind
from jobs.states import ErrorStatus
from tests.alerts.passing import look, minutes_pass

pytestmark = pytest.mark.django_db

WORDS = "no address of customer #"


def a_group(kind: str = "mail", **fields: Any) -> ErrorGroup:
    """A group that has failed five times in the last minutes."""
    now = timezone.now()
    JobKind.objects.get_or_create(name=kind)
    JobKind.objects.filter(name=kind).update(created_at=now - timedelta(days=9))
    given = {"words": WORDS, "count": 5, "first_at": now - timedelta(minutes=9), "last_at": now, "last_job": 1}
    return ErrorGroup.objects.create(**({"kind": kind, "fingerprint": "a" * 32} | given | fields))


def test_an_error_that_is_new_opens_an_incident_that_does_not_say_what_it_is() -> None:
    group = a_group()
    look()
    incident = Incident.objects.get()
    assert (incident.cause, incident.about, incident.title) == ("error_new", "mail", "mail jobs fail with a new error")
    assert f"Error group {group.pk}" in incident.reason
    assert WORDS not in incident.title + incident.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"count": errors_of_kinds.NEW_FROM - 1},
        {"first_at": timezone.now() - timedelta(hours=2)},
        {"fingerprint": ""},
        {"status": ErrorStatus.IGNORED},
    ],
    ids=["few", "old", "all others", "ignored"],
)
def test_what_is_rare_or_old_or_ignored_opens_none(fields: dict[str, Any]) -> None:
    a_group(**fields)
    look()
    assert not Incident.objects.exists()


def test_the_first_errors_of_a_new_kind_open_none() -> None:
    a_group()
    JobKind.objects.update(created_at=timezone.now())
    look()
    assert not Incident.objects.exists()


def test_an_error_that_is_back_opens_an_incident_which_names_who_resolved_it() -> None:
    at = timezone.now()
    long_ago = at - timedelta(days=9)
    a_group(first_at=long_ago, changed_at=long_ago, changed_by="olga", back_at=at, last_at=at)
    a_group(fingerprint="b" * 32, first_at=long_ago, changed_at=long_ago, changed_by="", back_at=at, last_at=at)
    look()
    incident = Incident.objects.get()
    assert (incident.cause, incident.title) == ("error_back", "mail jobs fail with 2 errors that were resolved")
    assert "after olga resolved it" in incident.reason


def test_it_resolves_once_somebody_resolves_or_ignores_the_group() -> None:
    group = a_group()
    look()
    acts.set_status([group.pk], ErrorStatus.IGNORED, by=Who("olga"))
    look()
    minutes_pass(30)
    look()
    assert Incident.objects.get().resolved_at is not None


def test_new_errors_of_many_kinds_are_one_incident() -> None:
    for n in range(6):
        a_group(f"kind-{n}")
    look()
    assert Incident.objects.get().title.startswith("Jobs of 6 kinds fail with new errors")
