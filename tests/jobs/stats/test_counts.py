"""Few jobs are counted, of many it is said about how many they are, and the oldest due job of each kind is found."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job
from jobs.stats import counts
from jobs.stats.counts import Count
from tests.cast import enqueue_one, take_one


@pytest.mark.django_db
def test_few_jobs_are_counted_and_many_are_about(ada, olga, monkeypatch):
    for _ in range(4):
        enqueue_one()
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    found, releases = counts.by_status()
    assert (found["pending"], found["failed"], releases) == (Count(5), Count(0), Count(1))
    monkeypatch.setattr(counts, "COUNTED", 3)
    found, _ = counts.by_status()
    assert found["pending"].about
    assert "about" in str(found["pending"])


@pytest.mark.parametrize(
    ("n", "guess", "shown"),
    [(17, 0, "17"), (5001, 0, "about 5\u202f000"), (5001, 1_234_567, "about 1\u202f200\u202f000")],
)
def test_a_guess_is_never_below_what_was_counted(n, guess, shown):
    assert str(counts.counted(n, guess)) == shown


@pytest.mark.django_db
def test_the_oldest_due_job_of_each_kind_is_found_at_any_priority(a_job, age):
    old = a_job(priority=-5)
    a_job(priority=7)
    later = a_job(kind="divide", run_at=timezone.now() + timedelta(hours=1))
    age(old, 30)
    rows = counts.oldest_pending()
    assert [(row["kind"], row["id"]) for row in rows] == [("sum", old.pk)]
    assert Job.objects.get(pk=later.pk).kind_id == "divide"
