"""No statement of enqueueing, claiming, reporting or sweeping is planned to cost much, or to be compiled.

From a cost of 100 000 on PostgreSQL compiles a statement (`jit`, which is on by default), and that takes longer than
most of these take. The planner is told here that there are twenty million jobs of a thousand kinds.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import ClaimRequest
from jobs.models import Job
from jobs.sweep import run
from tests.cast import bot_named, take_one

pytestmark = pytest.mark.django_db

#: From this cost on PostgreSQL compiles, by default.
COMPILED_FROM = 100_000
_COST = re.compile(r":planTree\s+\{.*?total_cost ([\d.e+]+)", re.DOTALL)
_JIT = re.compile(r":jitFlags (\d+)")

FILL = """
    INSERT INTO jobs_jobkind (name, paused) SELECT 'kind ' || n, n % 50 = 0 FROM generate_series(1, 1000) AS n;
    INSERT INTO bots_bot (name, kinds, last_seen_at, health_status)
    SELECT 'bot ' || n, '{}', now(), CASE WHEN n % 2 = 0 THEN 'unhealthy' ELSE 'normal' END
    FROM generate_series(1, 2000) AS n;
    INSERT INTO jobs_job (kind_id, payload, key, status, attempt, finished_at, claimed_by_id, claimed_at, started_at,
                          heartbeat_at, deadline_at)
    SELECT 'kind ' || 1 + n % 1000, '{}', CASE WHEN n % 3 = 0 THEN 'key ' || n END, status, 1,
           CASE WHEN status = 'succeeded' THEN now() END,
           CASE WHEN status = 'processing' THEN (SELECT min(id) FROM bots_bot) + n % 2000 END,
           now(), now(), now(), CASE WHEN status = 'processing' THEN now() + interval '1 hour' END
    FROM (SELECT n, CASE WHEN n % 20 = 0 THEN 'pending' WHEN n % 20 = 1 THEN 'processing' ELSE 'succeeded' END AS status
          FROM generate_series(1, 20000) AS n) AS rows;
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, actor, bot_id, at, detail)
    SELECT id, 1, 'expire', 'processing', 'pending', 'sweep', (SELECT min(id) FROM bots_bot) + id % 2000, now(), '{}'
    FROM jobs_job WHERE id % 10 = 0;
    UPDATE bots_bot b SET stuck_job_id = (SELECT min(j.id) FROM jobs_job j WHERE j.claimed_by_id = b.id)
    WHERE health_status = 'unhealthy';
    ANALYZE jobs_job, jobs_jobevent, jobs_jobkind, bots_bot;
    UPDATE pg_class SET reltuples = reltuples * 1000 WHERE relname IN ('jobs_job', 'jobs_jobevent') OR oid IN (
        SELECT indexrelid FROM pg_index WHERE indrelid IN ('jobs_job'::regclass, 'jobs_jobevent'::regclass))
"""


@pytest.fixture
def large() -> None:
    """Many kinds and bots, and statistics of many jobs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if not cursor.fetchone()[0]:
            pytest.skip("Only a superuser may change the planner's statistics.")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(FILL)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


Planned = Callable[[Callable[[], Any]], list[str]]


@pytest.fixture
def planned(large: None) -> Iterator[Planned]:
    """A function that runs another, and returns all plans that PostgreSQL made for it, in functions too."""
    made: list[str] = []
    raw: Any = connection.connection

    def take(notice: Any) -> None:
        made.append(f"{notice.message_primary}\n{notice.message_detail}")

    def plans(act: Callable[[], Any]) -> list[str]:
        made.clear()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL client_min_messages = log; SET LOCAL debug_print_plan = on")
            act()
            cursor.execute("SET LOCAL debug_print_plan = off; SET LOCAL client_min_messages = notice")
        return [plan for plan in made if ":planTree" in plan]

    raw.add_notice_handler(take)
    yield plans
    raw.remove_notice_handler(take)


def cheap(plans: list[str], least: int) -> None:
    assert len(plans) >= least
    for plan in plans:
        cost, jit = _COST.search(plan), _JIT.search(plan)
        assert cost is not None and jit is not None
        assert float(cost[1]) < COMPILED_FROM, plan
        assert jit[1] == "0", plan


def test_enqueueing(planned: Planned) -> None:
    cheap(planned(lambda: insert.enqueue_one(NewJob("kind 3", {}, key="new"))), 1)
    cheap(planned(lambda: insert.enqueue_one(NewJob("kind 3", {}, key="new"))), 3)
    some = [NewJob(f"kind {n}", {}, key=f"new {n}") for n in range(100)]
    cheap(planned(lambda: insert.enqueue(some)), 2)
    cheap(planned(lambda: insert.enqueue(some * 3)), 4)


@pytest.mark.parametrize("kinds", [None, ["kind 3"], [f"kind {n}" for n in range(1, 400)]], ids=["any", "one", "many"])
def test_claiming(planned: Planned, kinds: list[str] | None) -> None:
    digest = bytes(bot_named("eve").token_digest or b"")
    claim = lifecycle.turn_request(digest, ClaimRequest(5, kinds))
    # The second time all but the call itself is planned already.
    cheap(planned(lambda: lifecycle.take_turn(claim)), 5)
    cheap(planned(lambda: lifecycle.take_turn(claim)), 1)


def test_reporting(planned: Planned) -> None:
    eve = bot_named("eve", capacity=50)
    leases = [take_one(eve) for _ in range(5)]
    verbs = ("complete", "fail", "heartbeat", "start", "release")
    reports = {
        verb: json.dumps([{"id": lease.id, "attempt": lease.attempt, "error": "x"}])
        for verb, lease in zip(verbs, leases, strict=True)
    }
    digest = bytes(eve.token_digest or b"")
    cheap(planned(lambda: lifecycle.take_turn(lifecycle.turn_request(digest, None, reports))), 8)
    # Each is late by now, or repeats what it was.
    cheap(planned(lambda: lifecycle.take_turn(lifecycle.turn_request(digest, None, reports))), 2)
    cheap(planned(lambda: lifecycle.see(eve, always=True)), 1)
    cheap(planned(lambda: lifecycle.hello(eve, instance="other")), 3)


def test_sweeping(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    # The plans of the statistics are tests of their own.
    monkeypatch.setattr(run, "follow_up", lambda swept, *, full: None)
    silent = datetime.now(UTC) - timedelta(minutes=9)
    some = list(Job.objects.held().values_list("pk", flat=True)[:300])
    Job.objects.filter(pk__in=some).update(deadline_at=silent, heartbeat_at=silent, started_at=silent, attempt=3)
    assert Bot.objects.stuck().count() == 1000
    cheap(planned(run.sweep), 20)
