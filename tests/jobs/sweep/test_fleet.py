"""A fleet whose jobs hang now and then: good jobs are done, bad ones end by name, and only a bad bot is left out."""

import re
from collections.abc import Collection, Iterable

import pytest

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import By, Report
from jobs.models import Job
from jobs.states import JobStatus
from jobs.sweep.run import sweep
from tests.cast import bot_named
from tests.jobs.sweep.later import time_passes

pytestmark = pytest.mark.django_db

#: Each of these is one process: its bot and the instance that it is of.
Process = tuple[Bot, str]


def left_out() -> set[str]:
    """Who is in quarantine: bots, or instances where they have names."""
    return {instance.name or bot.name for bot in Bot.objects.quarantined() for instance in bot.quarantines}


def work_off(good: Iterable[Process], bad: Iterable[Process], bad_jobs: set[int]) -> set[str]:
    """All work until no job is left, and the sweep comes by after each turn. Returns who was ever in quarantine.

    A bad job hangs whoever has it, a bad process each job that it gets. It calls nevertheless.
    """
    good, bad = list(good), list(bad)
    quarantined = set[str]()
    for _ in range(20):
        for process in bad:
            turn(process, 2, hangs=True)
        for process in good:
            turn(process, 10, bad_jobs=bad_jobs)
        if not Job.objects.exclude(status__in=["succeeded", "failed"]).exists():
            return quarantined
        time_passes(7 * 60)
        for bot, instance in (*good, *bad):
            lifecycle.attend(bot, instance)
        sweep()
        quarantined |= left_out()
    raise AssertionError("jobs are left")


def turn(process: Process, limit: int, *, hangs: bool = False, bad_jobs: Collection[int] = ()) -> int:
    """It takes the next jobs, and does those that do not hang. Returns how many it did."""
    bot, instance = process
    claimed = lifecycle.claim(bot, limit=limit, instance=instance)
    done = [Report(job.id, job.attempt) for job in claimed if not hangs and job.id not in bad_jobs]
    if done:
        lifecycle.complete(done, by=By.bot(bot, instance))
    return len(done)


def jobs(n: int) -> tuple[set[int], set[int]]:
    """So many new jobs, of which one in fifty is bad: the good ones and the bad ones."""
    ids = [pk for pk, _ in insert.enqueue([NewJob("sum", {}, max_attempts=5) for _ in range(n)])]
    bad = {pk for place, pk in enumerate(ids) if place % 50 == 7}
    return set(ids) - bad, bad


def processes(way: str, names: Iterable[str]) -> list[Process]:
    """Bots with these names, or instances of one bot."""
    if way == "bots":
        return [(bot_named(name), "") for name in names]
    bot = bot_named("ada")
    for name in names:
        lifecycle.hello(bot, instance=name, identity=name)
    return [(bot, name) for name in names]


@pytest.fixture(params=["bots", "instances of one bot"])
def fleet(request: pytest.FixtureRequest) -> list[Process]:
    return processes(request.param, ["eve", "fay", "gil", "hal"])


def test_bad_jobs_leave_no_bot_out(fleet: list[Process]) -> None:
    good, bad = jobs(100)
    assert work_off(fleet, [], bad) == set()
    ended = dict(Job.objects.values_list("pk", "status"))
    assert {ended[job] for job in good} == {JobStatus.SUCCEEDED}
    assert {ended[job] for job in bad} == {JobStatus.FAILED}
    # Each has the names of those that it hung.
    for error in Job.objects.filter(pk__in=bad).values_list("error", flat=True):
        named = re.match(r"hung \d bots: (.*?); ", error)
        assert named is not None, error
        assert len(set(re.findall(r"eve|fay|gil|hal", named[1]))) >= 2


def test_a_bad_bot_among_good_ones_is_found_and_let_in_again_when_it_is_fixed(fleet: list[Process]) -> None:
    good, bad = jobs(100)
    assert work_off(fleet[1:], fleet[:1], bad) == {"eve"}
    assert left_out() == {"eve"}
    ended = dict(Job.objects.values_list("pk", "status"))
    assert {ended[job] for job in good} == {JobStatus.SUCCEEDED}
    assert {ended[job] for job in bad} == {JobStatus.FAILED}
    jobs(6)
    time_passes(3600)
    assert [turn(fleet[0], 2) for _ in range(2)] == [1, 2]
    assert left_out() == set()
