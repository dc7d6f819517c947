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
from jobs.models import Job, JobKind
from jobs.sweep import run
from tests.cast import bot_named, take_one
from tests.lasting import lasting_rows as lasting_rows  # the fixture

pytestmark = pytest.mark.django_db

#: From this cost on PostgreSQL compiles, by default.
COMPILED_FROM = 100_000
_COST = re.compile(r":planTree\s+\{.*?total_cost ([\d.e+]+)", re.DOTALL)
_JIT = re.compile(r":jitFlags (\d+)")
#: The tables of a statement, in its order, and which of these is read from its beginning to its end.
_TABLE = re.compile(r"\{RANGETBLENTRY(.*?)(?=\{RANGETBLENTRY|:permInfos)", re.DOTALL)
_WHOLE = re.compile(r"\{SEQSCAN.*?:scan\.scanrelid (\d+)", re.DOTALL)

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
    ANALYZE jobs_job;
    UPDATE bots_bot b SET stuck_job_id = (SELECT min(j.id) FROM jobs_job j WHERE j.claimed_by_id = b.id)
    WHERE health_status = 'unhealthy';
    -- Of 1 000 kinds, a tenth has limits, and groups. Two of them have jobs that are pending, and held.
    UPDATE jobs_job SET kind_id = CASE substr(kind_id, 6)::integer / 200 % 2 WHEN 0 THEN 'kind 3' ELSE 'kind 13' END
    WHERE status <> 'succeeded' AND substr(kind_id, 6)::integer % 200 < 3;
    UPDATE jobs_jobkind SET max_held = 500, max_held_per_group = 3, rate = 1000, rate_per_group = 100,
           limited = true, limited_no = 1
    WHERE substr(name, 6)::integer % 10 = 3;
    UPDATE jobs_job SET gated = true, priority = 1,
           group_name = CASE WHEN id % 9 > 0 THEN 'group ' || id / 200 % 40 ELSE '' END
    WHERE substr(kind_id, 6)::integer % 10 = 3;
    INSERT INTO jobs_gate (kind_id, group_name, limited_no, open, due_at)
    SELECT DISTINCT ON (j.kind_id, g) j.kind_id, g, CASE WHEN g = '' THEN 1 ELSE 0 END, j.id % 3 = 0,
           CASE WHEN j.id % 3 = 1 THEN now() - interval '1 second' WHEN j.id % 3 = 2 THEN 'infinity'::timestamptz END
    FROM jobs_job j CROSS JOIN LATERAL unnest(ARRAY['', j.group_name]) AS g WHERE j.gated ORDER BY 1, 2, j.id;
    UPDATE jobs_gate SET open = true, due_at = NULL WHERE kind_id IN ('kind 3', 'kind 13');
    ANALYZE jobs_job, jobs_jobevent, jobs_jobkind, jobs_gate, bots_bot;
    UPDATE pg_class SET reltuples = reltuples * 1000 WHERE relname = ANY ({large}) OR oid IN (
        SELECT indexrelid FROM pg_index WHERE indrelid = ANY ({large}::regclass[]))
"""
#: The tables with most rows. The gates are those of a million groups.
LARGE = ("jobs_job", "jobs_jobevent", "jobs_gate")


@pytest.fixture(scope="module")
def large(lasting_rows: None) -> None:
    """Many kinds and bots, and statistics of many jobs: filled once, and each test is undone by itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if not cursor.fetchone()[0]:
            pytest.skip("Only a superuser may change the planner's statistics.")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(FILL.replace("{large}", f"ARRAY{[*LARGE]}"))
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


Planned = Callable[[Callable[[], Any]], list[str]]


@pytest.fixture
def planned(large: None) -> Iterator[Planned]:
    """A function that runs another, and returns all plans that PostgreSQL made for it, in functions too."""
    made: list[str] = []
    raw: Any = connection.connection
    with connection.cursor() as cursor:
        # Those of the test before would be used again.
        cursor.execute("DISCARD PLANS")

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
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid::text FROM pg_class WHERE relname = ANY (%s)", [[*LARGE]])
        large = {oid for (oid,) in cursor.fetchall()}
    assert len(plans) >= least
    for plan in plans:
        assert not large & read_whole(plan), plan
        cost, jit = _COST.search(plan), _JIT.search(plan)
        assert cost is not None and jit is not None
        assert float(cost[1]) < COMPILED_FROM, plan
        assert jit[1] == "0", plan


def read_whole(plan: str) -> set[str]:
    """The tables that this plan reads from their beginning to their end."""
    tables = [relid[1] if (relid := re.search(r":relid (\d+)", entry)) else "" for entry in _TABLE.findall(plan)]
    return {tables[int(place) - 1] for place in _WHOLE.findall(plan)}


def test_a_table_that_is_read_whole_is_seen(planned: Planned) -> None:
    (plan,) = planned(lambda: list(Job.objects.filter(progress_note="x")))
    with pytest.raises(AssertionError):
        cheap([plan], 1)


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


#: Kind 3 and kind 13 have limits, and jobs of many groups.
GATED = [["kind 3"], ["kind 3", "kind 13"], ["kind 3", "kind 4"], None]


@pytest.mark.parametrize("fair", [True, False], ids=["in rounds", "by priority"])
@pytest.mark.parametrize("kinds", GATED, ids=["one", "two", "one of them limited", "any"])
def test_claiming_what_has_limits(planned: Planned, kinds: list[str] | None, fair: bool) -> None:
    JobKind.objects.update(fair=fair)
    digest = bytes(bot_named("eve").token_digest or b"")
    claim = lifecycle.turn_request(digest, ClaimRequest(50, kinds))
    cheap(planned(lambda: lifecycle.take_turn(claim)), 15)
    assert Job.objects.held().filter(claimed_by__name="eve", gated=True).count() > 5


def test_what_opens_gates_and_moves_jobs(planned: Planned, django_capture_on_commit_callbacks: Any) -> None:
    def plans(act: Callable[[], Any]) -> list[str]:
        def with_what_follows() -> None:
            with django_capture_on_commit_callbacks(execute=True):
                act()

        return planned(with_what_follows)

    held, by = Job.objects.held().filter(kind="kind 3"), lifecycle.SWEEP
    cheap(plans(lambda: lifecycle.release(held.values_list("pk", flat=True), by=by)), 5)
    cheap(plans(lambda: insert.enqueue([NewJob("kind 3", {}, group=f"new {n}") for n in range(300)])), 5)
    cheap(plans(lambda: JobKind.objects.filter(name="kind 21").update(max_held=1)), 1)
    cheap(plans(lambda: lifecycle.limits_changed(["kind 21"])), 4)
    assert Job.objects.filter(kind="kind 21", gated=True).count() > 5
    JobKind.objects.filter(name="kind 21").update(max_held=None)
    cheap(plans(lambda: lifecycle.limits_changed(["kind 21"])), 2)
    cheap(plans(lambda: lifecycle.throttle("kind 3", "group 3", 60, by=by)), 2)
    cheap(plans(lambda: lifecycle.lift("kind 3", "group 3", by=by)), 2)
    cheap(plans(lifecycle.repair_gates), 2)
    cheap(plans(lifecycle.prune_gates), 1)
    cheap(plans(lambda: lifecycle.drop(by=by)), 1)


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
