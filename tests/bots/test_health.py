"""Grading: what a lease's ages say about its bot."""

import itertools
from datetime import timedelta

import pytest

from bots import health
from bots.states import HealthStatus
from jobsite.lib import durations

NORMAL, POTENTIALLY_STUCK, UNHEALTHY = HealthStatus.NORMAL, HealthStatus.POTENTIALLY_STUCK, HealthStatus.UNHEALTHY
LIMITS = health.Limits(timedelta(minutes=5), timedelta(minutes=2), timedelta(minutes=10))


def lease(claimed: float = 0, running: float | None = 0, silent: float = 0, job_id: int = 7) -> health.Lease:
    """A lease with these ages in minutes; `running` None: not started."""
    ran = None if running is None else timedelta(minutes=running)
    return health.Lease(job_id, "sum", timedelta(minutes=claimed), ran, timedelta(minutes=silent))


@pytest.mark.parametrize(
    ("ages", "status", "signal"),
    [
        ({"running": 1, "silent": 1}, NORMAL, None),
        ({"running": 1.99, "silent": 1.99}, NORMAL, None),
        ({"running": 2, "silent": 2}, POTENTIALLY_STUCK, "silent"),
        ({"running": 5.99, "silent": 5.99}, POTENTIALLY_STUCK, "silent"),
        ({"running": 6, "silent": 6}, UNHEALTHY, "silent"),
        ({"running": 10, "silent": 0}, POTENTIALLY_STUCK, "overdue"),
        ({"running": 30, "silent": 0}, UNHEALTHY, "overdue"),
        ({"claimed": 4.99, "running": None}, NORMAL, None),
        ({"claimed": 5, "running": None}, POTENTIALLY_STUCK, "unstarted"),
        ({"claimed": 15, "running": None}, UNHEALTHY, "unstarted"),
        # The worst signal decides: overdue by 1.2, silent by 2.
        ({"running": 12, "silent": 4}, POTENTIALLY_STUCK, "silent"),
        ({"running": 60, "silent": 4}, UNHEALTHY, "overdue"),
    ],
)
def test_a_lease_has_the_grade_of_its_worst_signal(
    ages: dict[str, float | None], status: HealthStatus, signal: str | None
) -> None:
    grade = health.grade(lease(**ages), LIMITS)  # type: ignore[arg-type]
    assert (grade.status, grade.signal) == (status, signal)


def test_a_job_that_was_not_started_is_not_silent() -> None:
    assert health.grade(lease(claimed=4, running=None, silent=4), LIMITS).status == NORMAL


def test_the_reason_gives_the_figures() -> None:
    grade = health.grade(lease(running=7, silent=6 + 10 / 60), LIMITS)
    assert grade.reason == "silent for 6 m 10 s on sum job 7, limit 2 m"
    assert health.grade(lease(), LIMITS).reason == ""


def test_the_worst_grade_is_worst_by_status_and_then_by_ratio() -> None:
    grades = [health.grade(lease(silent=n, job_id=int(n)), LIMITS) for n in (0.0, 7.0, 3.0, 9.0)]
    worst = health.worst(grades)
    assert worst is not None
    assert worst.job_id == 9
    assert health.worst([]) is None


def test_a_higher_ratio_is_never_a_better_grade() -> None:
    # So the worst of several is the one with the highest ratio: its status says nothing more.
    claimed, silent = (0, 4.9, 5, 14.9, 15, 90), (0, 1.9, 2, 5.9, 6, 60)
    running = (None, 0, 9.9, 10, 29.9, 30, 90)
    grades = [health.grade(lease(*ages), LIMITS) for ages in itertools.product(claimed, running, silent)]
    assert {grade.status for grade in grades if grade.ratio < 1} == {NORMAL}
    assert {grade.status for grade in grades if 1 <= grade.ratio < health.UNHEALTHY_AT} == {POTENTIALLY_STUCK}
    assert {grade.status for grade in grades if grade.ratio >= health.UNHEALTHY_AT} == {UNHEALTHY}


@pytest.mark.parametrize(
    ("ages", "minutes"),
    [
        ({"running": 0, "silent": 0}, 2),
        ({"running": 3, "silent": 3}, 3),  # silent is unhealthy at 6
        ({"running": 9, "silent": 0}, 1),  # overdue at 10
        ({"running": 9, "silent": 7}, 1),
        ({"running": 25, "silent": 7}, 5),  # overdue is unhealthy at 30
        ({"running": 40, "silent": 40}, 2),  # past everything: again after a heartbeat's limit
        ({"claimed": 1, "running": None}, 4),
        ({"claimed": 6, "running": None}, 9),
    ],
)
def test_the_next_look_is_when_the_grade_can_change(ages: dict[str, float | None], minutes: float) -> None:
    assert health.next_look(lease(**ages), LIMITS) == timedelta(minutes=minutes)  # type: ignore[arg-type]


def test_signals_far_past_their_limits_are_named_silent_first() -> None:
    assert health.grade(lease(running=31, silent=7), LIMITS).far == ("silent", "overdue")
    assert health.grade(lease(running=31, silent=1), LIMITS).far == ("overdue",)
    assert health.grade(lease(claimed=20, running=None), LIMITS).far == ("unstarted",)
    assert health.grade(lease(running=31 / 3, silent=1), LIMITS).far == ()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s"), (0, "0 s"), (45.9, "45 s"), (60, "1 m"), (370, "6 m 10 s"), (7500, "2 h 5 m"), (90_061, "1 d 1 h"),
     (86_400 + 61, "1 d")],
)  # fmt: skip
def test_an_age_is_in_words(seconds: float, said: str) -> None:
    assert durations.words(timedelta(seconds=seconds)) == said
