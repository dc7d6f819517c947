"""The shapes of a bot's turn: what is there before, and what the bot sends."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import SWEEP, By
from jobs.models import Job, JobEvent, JobKind
from tests.cast import Lease, enqueue_one, make_older, take_one

#: Ids begin here in every shape, so that answers are the same to the byte.
FIRST = 1_000_001
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.(\d+))?(Z|\+00:00)")


@dataclass(frozen=True)
class Cast:
    """Who takes part."""

    ada: Bot
    bob: Bot
    olga: User


@dataclass(frozen=True)
class Sent:
    """One call: its path, its body and the process that makes it."""

    path: str
    body: dict[str, Any]
    instance: str = ""


Shape = Callable[[Cast], list[Sent]]
SHAPES: dict[str, Shape] = {}


def shape(make: Shape) -> Shape:
    """One shape, by the name of its function."""
    SHAPES[make.__name__] = make
    return make


def report(lease: Lease, **more: Any) -> dict[str, Any]:
    """How a bot names a lease."""
    return {"id": lease.id, "attempt": lease.attempt, **more}


def exchange(**body: Any) -> Sent:
    """One exchange."""
    return Sent("/exchange", body)


@shape
def claim_of_nothing(cast: Cast) -> list[Sent]:
    return [Sent("/claim", {})]


@shape
def claim_of_one(cast: Cast) -> list[Sent]:
    enqueue_one(payload={"text": 'a "b" \\ ü\n', "n": [1, 2.5, None]}, priority=4, key="k", max_attempts=7)
    return [Sent("/claim", {})]


@shape
def claim_of_several_not_started(cast: Cast) -> list[Sent]:
    for n in range(3):
        enqueue_one(priority=n)
    return [Sent("/claim", {"limit": 2, "start": False})]


@shape
def claim_of_a_kind(cast: Cast) -> list[Sent]:
    enqueue_one("sum", priority=9)
    enqueue_one("divide")
    return [Sent("/claim", {"kinds": ["divide"], "limit": 5})]


@shape
def empty_exchange(cast: Cast) -> list[Sent]:
    return [exchange()]


@shape
def completed_and_next(cast: Cast) -> list[Sent]:
    leases = [take_one(cast.ada) for _ in range(2)]
    enqueue_one()
    return [exchange(completed=[report(lease, result={"n": lease.id}) for lease in reversed(leases)], claim={})]


@shape
def every_sort_of_report(cast: Cast) -> list[Sent]:
    done, bad, hopeless, running = (take_one(cast.ada, max_attempts=2) for _ in range(4))
    JobKind.objects.update(backoff=timedelta(0))
    return [
        exchange(
            heartbeats=[report(running, progress=40, note="p. 4")],
            failed=[report(hopeless, error="no", retry=False), report(bad, error="no disk")],
            completed=[report(done)],
        )
    ]


@shape
def late_reports(cast: Cast) -> list[Sent]:
    released, expired, cancelled, beaten, held = (take_one(cast.ada) for _ in range(5))
    by = By.operator(cast.olga)
    lifecycle.release([released.id, beaten.id], by=by, reason="ada hangs")
    lifecycle.expire([expired.id], by=SWEEP, reasons={expired.id: "silent for 5 m"})
    lifecycle.cancel([cancelled.id], by=by)
    Job.objects.pending().update(run_at=Now() + timedelta(hours=1))
    return [
        exchange(
            completed=[report(released, result=5), report(held, result=6)],
            failed=[report(expired, error="too late")],
            heartbeats=[report(cancelled), report(beaten)],
            claim={},
        )
    ]


@shape
def the_same_twice(cast: Cast) -> list[Sent]:
    done, bad = take_one(cast.ada), take_one(cast.ada)
    sent = exchange(completed=[report(done, result=1)], failed=[report(bad, error="x")])
    return [sent, sent]


@shape
def a_completion_and_then_a_failure(cast: Cast) -> list[Sent]:
    lease = take_one(cast.ada)
    return [exchange(completed=[report(lease)]), exchange(failed=[report(lease, error="x")])]


@shape
def not_its_own(cast: Cast) -> list[Sent]:
    its, mine = take_one(cast.bob), take_one(cast.ada)
    return [
        exchange(
            completed=[report(its), {"id": 999, "attempt": 1}],
            heartbeats=[report(mine) | {"attempt": 2}],
            failed=[{"id": 998, "attempt": 1, "error": "x"}],
        )
    ]


@shape
def an_attempt_of_its_own_before(cast: Cast) -> list[Sent]:
    old = take_one(cast.ada)
    lifecycle.release([old.id], by=By.operator(cast.olga))
    lifecycle.claim(cast.ada)
    return [exchange(heartbeats=[report(old)]), exchange(completed=[report(old, result="old")])]


@shape
def paused_with_a_wait(cast: Cast) -> list[Sent]:
    lease = take_one(cast.ada)
    enqueue_one()
    Bot.objects.filter(pk=cast.ada.pk).update(paused=True)
    return [exchange(completed=[report(lease)], claim={"wait": 30})]


@shape
def asked_to_restart(cast: Cast) -> list[Sent]:
    lifecycle.restart(Bot.objects.filter(pk=cast.ada.pk), by=By.operator(cast.olga))
    return [Sent("/claim", {}, "one"), Sent("/claim", {}), exchange(claim={})]


@shape
def replaced(cast: Cast) -> list[Sent]:
    lease = take_one(cast.ada)
    lifecycle.hello(cast.ada, instance="second", alone=False)
    Bot.objects.filter(pk=cast.ada.pk).update(instance="second")
    body = {"completed": [report(lease)], "claim": {}}
    return [Sent("/exchange", body, "first"), Sent("/claim", {}, "first"), Sent("/exchange", body, "second")]


@shape
def stuck_and_done(cast: Cast) -> list[Sent]:
    lease = take_one(cast.ada)
    make_older(lease, 3)
    lifecycle.regrade(Bot.objects.all())
    enqueue_one()
    return [exchange(completed=[report(lease)], claim={})]


@shape
def stuck_and_alive(cast: Cast) -> list[Sent]:
    lease = take_one(cast.ada)
    make_older(lease, 3)
    lifecycle.regrade(Bot.objects.all())
    return [exchange(heartbeats=[report(lease, progress=1)])]


@shape
def stuck_on_two(cast: Cast) -> list[Sent]:
    first, second = take_one(cast.ada), take_one(cast.ada)
    make_older(first, 8)
    make_older(second, 3)
    lifecycle.regrade(Bot.objects.all())
    return [Sent("/claim", {}), exchange(failed=[report(first, error="x")])]


@shape
def unwell_with_nothing(cast: Cast) -> list[Sent]:
    Bot.objects.filter(pk=cast.ada.pk).update(health_status="unhealthy", health_reason="it was silent", status="down")
    return [Sent("/claim", {})]


def begin(numbers: int = FIRST) -> None:
    """Let the ids of what comes now begin at `FIRST`."""
    with connection.cursor() as cursor:
        for table in ("jobs_job", "jobs_jobevent"):
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s, false)", [table, numbers])


def rows() -> list[str]:
    """All jobs, their events and the bots, a line each; moments only as being there."""
    lines = []
    for model in (Job, JobEvent, Bot):
        for row in model.objects.order_by("pk").values():
            known = {k: v for k, v in row.items() if v not in (None, "") and not k.startswith("token")}
            if model is Bot:
                # Its id is whatever it is.
                known.pop("id")
            text = ", ".join(f"{k}={v}" for k, v in sorted(known.items()))
            lines.append(f"{model.__name__}: {plain(text)}")
    return lines


def plain(text: str) -> str:
    """The same with each moment as `<moment>`: with six digits and a Z in answers, however it is in rows."""
    text = re.sub(r"\b(bot_id|claimed_by_id|finished_by_id)=\d+", r"\1=<bot>", text)
    text = re.sub(r"\bnot_for=\d+", "not_for=<instance>", text)
    text = re.sub(r"\baudit_id=\d+", "audit_id=<entry>", text)
    return MOMENT.sub(lambda at: "<moment>" if at[2] != "Z" or len(at[1] or "") == 6 else f"<{at[0]}>", text)
