"""The last full sweep is on record, for whoever asks whether anybody is watching."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from bots.models import Bot
from jobs.models import SweepRun
from jobs.sweep import run as sweeping
from jobs.sweep.run import sweep
from tests.cast import make_older, take_one

pytestmark = pytest.mark.django_db


def test_a_sweep_leaves_when_it_ran_and_what_it_did(ada: Bot) -> None:
    make_older(take_one(ada), 6)
    swept = sweep()
    run = SweepRun.objects.annotate(age=Now() - F("finished_at")).get()
    assert run.started_at <= run.finished_at
    assert run.took == (run.finished_at - run.started_at).total_seconds()
    assert run.age < timedelta(minutes=5)  # type: ignore[attr-defined]
    assert run.counts == swept.counts()
    assert run.counts["expired"] == 1


def test_only_the_last_sweep_is_kept(ada: Bot) -> None:
    make_older(take_one(ada), 6)
    sweep()
    first = SweepRun.objects.get()
    sweep()
    last = SweepRun.objects.get()
    assert last.finished_at > first.finished_at
    assert last.counts["expired"] == 0


def test_a_dry_run_and_a_sweep_of_one_kind_are_no_full_sweeps(ada: Bot) -> None:
    take_one(ada)
    sweep(dry_run=True)
    sweep(kind="sum")
    assert not SweepRun.objects.exists()


def test_a_sweep_that_breaks_off_is_not_on_record(ada: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(*args: Any) -> None:
        raise RuntimeError("the machine is gone")

    monkeypatch.setattr(sweeping, "sweep_bots", break_off)
    with pytest.raises(RuntimeError):
        sweep()
    assert not SweepRun.objects.exists()


def test_there_cannot_be_two_last_sweeps() -> None:
    sweep()
    first = SweepRun.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        SweepRun.objects.create(id=2, started_at=first.started_at, finished_at=first.finished_at, took=0.0, counts={})
