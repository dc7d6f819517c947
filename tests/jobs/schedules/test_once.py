"""Each occurrence happens once: four processes fire, they are killed, and two sweeps run beside them.

`make test-all` takes more of them.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs.models import Job, Schedule, ScheduleOccurrence
from jobs.schedules import changes
from jobs.schedules.definition import ScheduleIn
from jobs.schedules.firing import Firing, locked, settle
from jobsite.lib.clock import database_now
from tests.cast import database_url
from tests.jobs.schedules.rules import SECONDS, a_schedule, jobs_of, ledger, off_for
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[3]
SCHEDULES, OCCURRENCES, PROCESSES = 40, int(os.environ.get("SCHEDULE_OCCURRENCES", 2_000)), 4
#: Starts the processes and prints their ids. They are forks of one, before it has a connection, so that the project is
#: loaded only once.
FIRE = """
import os, sys
import django
django.setup()
from jobs.schedules.thread import fire_until_closed
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        fire_until_closed()
        os._exit(0)
    print(pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def processes() -> Iterator[list[int]]:
    """Processes that fire as the thread of a web process does: their ids."""
    env = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-c", FIRE, str(PROCESSES)]
    first = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    pids = [int(first.stdout.readline()) for _ in range(PROCESSES)]
    try:
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        first.communicate()


def sweeps() -> None:
    try:
        for _ in range(3):
            Firing().fire_due()
    finally:
        connection.close()


@pytest.mark.timeout(170)
def test_each_of_many_happens_once_though_the_processes_are_killed() -> None:
    with processes() as pids:
        each = OCCURRENCES // SCHEDULES
        # In one transaction, so that nobody fires the first before the last is there.
        with transaction.atomic():
            for n in range(SCHEDULES):
                given = {"catch_up": "all", "catch_up_within": 10 * 3600, "overlap": "allow"}
                schedule = off_for(each * SECONDS, f"schedule-{n}", every=1, **given)
                Schedule.objects.filter(pk=schedule.pk).update(ends_at=schedule.next_at + (each - 1) * SECONDS)
        beside = [threading.Thread(target=sweeps) for _ in range(2)]
        for thread in beside:
            thread.start()
        killed = 0
        while Schedule.objects.exclude(next_at=None).exists():
            if killed < PROCESSES - 1 and Job.objects.count() > (killed + 1) * OCCURRENCES // 20:
                os.kill(pids[killed], signal.SIGKILL)
                killed += 1
            time.sleep(0.002)
        for thread in beside:
            thread.join()
    assert killed
    moments = set(Job.objects.values_list("schedule", "scheduled_for"))
    assert len(moments) == Job.objects.count() == OCCURRENCES
    assert set(ScheduleOccurrence.objects.values_list("schedule__name", "due_at")) == moments
    assert set(ScheduleOccurrence.objects.values_list("fate", "count")) <= {("caught_up", 1), ("enqueued", 1)}
    assert ScheduleOccurrence.objects.count() == OCCURRENCES


def test_one_that_somebody_has_locked_is_passed_over() -> None:
    off_for(5 * SECONDS, "held")
    off_for(4 * SECONDS, "free")
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            locked(Schedule.objects.filter(name="held"))
            taken.set()
            done.wait(60)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(60)
    Firing().fire_due()
    assert len(jobs_of("free")) == 1 and not jobs_of("held")
    done.set()
    holder.join()
    Firing().fire_due()
    assert len(jobs_of("held")) == 1


def test_an_edit_waits_for_the_firing_and_then_gives_no_second_job() -> None:
    off_for(1 * SECONDS)
    firing, edited = threading.Event(), threading.Event()

    def fires() -> None:
        with transaction.atomic():
            schedule = locked(Schedule.objects.all())
            assert schedule is not None
            firing.set()
            edited.wait(0.2)
            settle(schedule)
        connection.close()

    thread = threading.Thread(target=fires)
    thread.start()
    firing.wait(60)
    changes.put("nightly", ScheduleIn.model_validate({"kind": "report", "every": 90}).to_values())
    edited.set()
    thread.join()
    Firing().fire_due()
    assert len(jobs_of()) == 1 and ledger() == [("enqueued", 1)]


def test_who_waited_for_one_that_changed_meanwhile_has_the_time_after_the_wait() -> None:
    # With the time before, an edit could compute a next moment that has its fate already.
    a_schedule()

    def waits() -> datetime:
        with transaction.atomic():
            at: datetime = locked(Schedule.objects.all()).locked_at  # type: ignore[union-attr]
            return at

    with racers() as run:
        with transaction.atomic():
            Schedule.objects.update(next_at=database_now())
            waiting = run.go_and_block(waits)
            meanwhile = database_now()
        assert waiting.result(PATIENCE) > meanwhile


def test_two_that_create_the_same_make_one() -> None:
    made: list[bool] = []

    def creates() -> None:
        given = ScheduleIn.model_validate({"kind": "report", "every": 60})
        made.append(changes.put("nightly", given.to_values()).created)
        connection.close()

    threads = [threading.Thread(target=creates) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]
    assert Schedule.objects.count() == 1


def test_a_clock_that_is_three_hours_wrong_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now + 3 * 3600 * SECONDS)
    monkeypatch.setattr(time, "time", lambda: now.timestamp() + 3 * 3600)
    a_schedule("to-come")
    off_for(5 * SECONDS)
    Firing().fire_due()
    assert ledger("to-come") == [] and ledger() == [("enqueued", 1)]
    assert abs(Job.objects.get().created_at - database_now()) < 60 * SECONDS
