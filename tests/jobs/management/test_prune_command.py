"""`manage.py prune` works off a backlog, batch by batch, and says what it did."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from bots.models import Bot
from jobs.lifecycle import retention as lifecycle_retention
from jobs.models import Job, JobEvent, RollupState
from jobs.sweep import retention
from tests.cast import take_one
from tests.jobs.sweep.test_retention import added_up, ended, keep  # noqa: F401  the fixture

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("prune", *arguments, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue().strip()


@pytest.fixture
def backlog(ada: Bot) -> None:
    for _ in range(5):
        ended(ada, 31)
    for _ in range(2):
        ended(ada, 32, "divide")
    ended(ada, 29)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    settings.PRUNE_MOST = 1


def test_it_works_until_nothing_is_left_whatever_a_sweep_may_do(backlog: None, small: None) -> None:
    said, beside = run()
    assert said == "Pruned 7 jobs: divide 2, sum 5."
    assert beside.endswith("jobs a second")
    assert Job.objects.count() == 1
    assert run()[0] == "Pruned 0 jobs."


def test_a_dry_run_counts_by_kind_and_changes_nothing(backlog: None) -> None:
    assert run("--dry-run") == ("Would prune 7 jobs: divide 2, sum 5.", "")
    assert Job.objects.count() == 8


def test_interrupted_it_leaves_whole_batches_done(backlog: None, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    verb, calls = lifecycle_retention.run, []

    def interrupted(name: str, **params: Any) -> Any:
        found = verb(name, **params)
        calls.append(name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(lifecycle_retention, "run", interrupted)
    with pytest.raises(CommandError, match=r"^Interrupted\. Pruned 4 jobs: divide 2, sum 2\.$") as raised:
        run()
    assert raised.value.returncode == 130
    assert calls == ["prune"] * 3
    assert Job.objects.count() == 4


def test_when_the_database_goes_away_it_says_how_far_it_came(
    backlog: None, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb, calls = lifecycle_retention.run, []

    def lost(name: str, **params: Any) -> Any:
        calls.append(name)
        if len(calls) == 2:
            raise OperationalError("the connection\nis lost")
        return verb(name, **params)

    monkeypatch.setattr(lifecycle_retention, "run", lost)
    with pytest.raises(CommandError, match=r"^Failed\. Pruned 2 jobs: divide 2\. the connection is lost$") as raised:
        run()
    assert raised.value.returncode == 1


def test_it_deletes_nothing_before_there_are_figures(backlog: None) -> None:
    RollupState.objects.all().delete()
    with pytest.raises(CommandError, match="Run manage.py sweep_stuck first. Nothing was deleted.") as raised:
        run()
    assert raised.value.returncode == 1
    assert Job.objects.count() == 8


def test_it_says_what_has_to_wait_for_the_figures(ada: Bot) -> None:
    take_one(ada).complete()
    keep("sum", seconds=0)
    said, beside = run()
    assert said == "Pruned 0 jobs."
    assert "is not in the figures yet and stays until a sweep has added it up: sum." in beside
    assert not JobEvent.objects.exists()
