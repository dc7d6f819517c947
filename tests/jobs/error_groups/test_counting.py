"""Failures are counted into groups of errors that are alike, each once."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.utils import timezone

from bots.audit import Who
from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.error_groups import acts, counting
from jobs.lifecycle import By
from jobs.models import ErrorGroup, Job, JobEvent
from jobs.states import ErrorStatus, JobStatus
from jobs.stats import rollup
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

OLGA = Who("olga")


def fails(bot: Bot, error: str, *, kind: str = "mail", retry: bool = False) -> int:
    lease = take_one(bot, kind=kind)
    lease.fail(error, retry=retry)
    return lease.id


def fails_later(bot: Bot, error: str) -> None:
    """It fails three minutes from now, which is after what is counted by now."""
    job = fails(bot, error)
    JobEvent.objects.filter(job=job).update(at=F("at") + timedelta(minutes=3))


def count(minutes: int = 2) -> int:
    """Count, as it will be some minutes from now."""
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=minutes))
    return counting.count_failures()


def test_failures_whose_errors_are_alike_are_one_group(ada: Bot, bob: Bot) -> None:
    lifecycle.see(ada, version="4.2", always=True)
    first = fails(ada, "Timeout: no answer in 10 s")
    last = fails(bob, "Timeout: no answer in 30 s", retry=True)
    fails(ada, "no address")
    fails(ada, "Timeout: no answer in 10 s", kind="sum")
    assert count() == 4
    group = ErrorGroup.objects.get(kind="mail", words="Timeout: no answer in # s")
    assert (group.count, group.bots, group.versions) == (2, {"ada": 1, "bob": 1}, {"4.2": 1})
    assert (group.last_job, group.status) == (max(first, last), ErrorStatus.OPEN)
    assert sum(group.trend(timezone.now())) == 2
    assert ErrorGroup.objects.count() == 3
    # Each failure once.
    assert count(5) == 0
    assert ErrorGroup.objects.get(pk=group.pk).count == 2


def test_nothing_is_counted_that_may_have_more_to_come(ada: Bot) -> None:
    fails(ada, "no address")
    assert counting.count_failures() == 0
    assert not ErrorGroup.objects.exists()


def test_what_is_beyond_the_most_groups_of_a_kind_is_counted_together(
    ada: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_OF_KIND", 2)
    for error in ("one", "two", "three", "four"):
        fails(ada, error)
    count()
    assert ErrorGroup.objects.count() == 3
    assert ErrorGroup.objects.get(words=counting.OTHERS).count == 2
    fails_later(ada, "five")
    count(6)
    others = ErrorGroup.objects.get(fingerprint="")
    assert others.count == 3
    assert not acts.failed([others]).exists()


def test_a_group_that_was_resolved_is_back_when_it_fails_again(ada: Bot) -> None:
    fails(ada, "no address")
    count()
    (group,) = acts.set_status(ErrorGroup.objects.values_list("pk", flat=True), ErrorStatus.RESOLVED, by=OLGA)
    assert (group.changed_by, group.back_at) == ("olga", None)
    fails_later(ada, "no address")
    count(6)
    group.refresh_from_db()
    assert group.status == ErrorStatus.OPEN
    assert group.back_at == group.last_at


def test_a_group_that_is_ignored_stays_so_and_is_counted(ada: Bot) -> None:
    fails(ada, "no address")
    count()
    acts.set_status(ErrorGroup.objects.values_list("pk", flat=True), ErrorStatus.IGNORED, by=OLGA, reason="known")
    fails_later(ada, "no address")
    count(6)
    group = ErrorGroup.objects.get()
    assert (group.status, group.count, group.back_at) == (ErrorStatus.IGNORED, 2, None)
    entry = AuditEntry.objects.get(verb="ignore")
    assert (entry.object_type, entry.object_id, entry.reason) == ("error_group", str(group.pk), "known")
    assert "address" not in f"{entry.before}{entry.after}{entry.object_name}"


def test_to_resolve_what_is_resolved_changes_and_records_nothing(ada: Bot) -> None:
    fails(ada, "no address")
    count()
    ids = list(ErrorGroup.objects.values_list("pk", flat=True))
    assert acts.set_status(ids, ErrorStatus.RESOLVED, by=OLGA)
    assert acts.set_status(ids, ErrorStatus.RESOLVED, by=OLGA) == []
    assert AuditEntry.objects.filter(verb="resolve").count() == 1


def test_the_newest_failed_jobs_of_a_group_are_retried_and_no_other(ada: Bot, olga: User) -> None:
    jobs = [fails(ada, f"Timeout after {n} s") for n in range(3)]
    other = fails(ada, "no address")
    taken = take_one(ada, kind="mail", key="order-7", unique="unfinished")
    taken.fail("Timeout after 9 s", retry=False)
    enqueue_one("mail", key="order-7")
    count()
    group = ErrorGroup.objects.get(words="Timeout after # s")
    done = acts.retry(group, most=2, by=By.operator(olga), reason="the mailer is up")
    assert (done.jobs, done.keys_taken, done.more) == (1, 1, True)
    done = acts.retry(group, most=100, by=By.operator(olga))
    assert (done.jobs, done.keys_taken, done.more) == (2, 1, False)
    assert set(Job.objects.filter(pk__in=jobs).values_list("status", flat=True)) == {JobStatus.PENDING}
    assert Job.objects.get(pk=other).status == JobStatus.FAILED


def test_failed_jobs_of_a_group_are_found_by_an_index(ada: Bot) -> None:
    fails(ada, "no address")
    count()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = acts.failed(ErrorGroup.objects.all()).order_by("-id").explain()
    assert "job_failed_alike" in plan


def test_groups_that_have_not_failed_for_long_are_forgotten_unless_ignored(ada: Bot) -> None:
    fails(ada, "no address")
    fails(ada, "no name")
    count()
    acts.set_status([ErrorGroup.objects.get(words="no name").pk], ErrorStatus.IGNORED, by=OLGA)
    ErrorGroup.objects.update(last_at=timezone.now() - counting.KEPT - timedelta(days=1))
    assert counting.prune() == 1
    assert ErrorGroup.objects.get().words == "no name"
