"""No statement of a bot's turn is planned to cost much, on any PostgreSQL, and none is compiled.

A scan that is forbidden costs ten thousand million where it is taken all the same, and from a hundred thousand on
PostgreSQL compiles a statement, which takes longer than all of a turn.
"""

import json
import re
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.models import Model

from bots.models import Bot
from jobs.lifecycle import ClaimRequest, turn_request
from jobs.lifecycle.statements import SQL
from jobs.lifecycle.turn import TurnRequest
from jobs.models import Job, JobEvent, JobKind
from tests.cast import bot_named, database_url, enqueue_one, take_one

pytestmark = pytest.mark.django_db(transaction=True)

_COST = re.compile(r":planTree\s+\{.*?total_cost ([\d.e+]+)", re.DOTALL)
_JIT = re.compile(r":jitFlags (\d+)")
_FORBIDDEN = re.compile(r"disabled_nodes (\d+)")
_TABLES = re.compile(r":relid (\d+)")


def requests(bot: Bot) -> list[TurnRequest]:
    """Turns that run every statement there is, but for those of several bots at once."""
    digest = bytes(bot.token_digest or b"")
    leases = [take_one(bot) for _ in range(6)]
    verbs = ("complete", "fail", "heartbeat", "start", "release")
    reports = {
        verb: json.dumps([{"id": lease.id, "attempt": lease.attempt, "error": "x"}])
        for verb, lease in zip(verbs, leases, strict=False)
    }
    late = json.dumps([{"id": leases[0].id, "attempt": 9}])
    for kind in ("sum", "divide", "multiply"):
        enqueue_one(kind)
        enqueue_one(kind, priority=3)
    asks = [ClaimRequest(2), ClaimRequest(2, ["sum"]), ClaimRequest(2, ["divide", "multiply"])]
    return [
        turn_request(digest, asks[0], reports, version="2"),
        turn_request(digest, None, {"complete": late}),
        *[turn_request(digest, ask) for ask in asks],
    ]


@pytest.fixture
def plans() -> list[str]:
    """The plans that PostgreSQL makes for a turn on a new connection."""
    with connection.cursor() as cursor:
        # Pages of rows that earlier tests have undone would have their cost.
        cursor.execute("TRUNCATE jobs_job, jobs_jobevent, jobs_jobkind, jobs_gate, bots_bot, bots_instance CASCADE")
    bot, other = bot_named("eve", capacity=50), bot_named("bob")
    made = list[str]()
    turns = [[request] for request in requests(bot)]
    turns.append([turn_request(bytes(one.token_digest or b""), ClaimRequest(1)) for one in (bot, other)])
    JobKind.objects.filter(name="sum").update(paused=True)
    with psycopg.connect(database_url(), autocommit=True) as own:
        # What tests before this one left in the statistics says nothing of the statements.
        own.execute("ANALYZE")
        # For the checks of foreign keys, which PostgreSQL plans by itself: of a table of a page it may read all.
        own.execute("SET enable_seqscan = off")
        own.execute("SET debug_print_plan = on")
        own.execute("SET client_min_messages = log")
        own.add_notice_handler(lambda notice: made.append(f"{notice.message_primary}\n{notice.message_detail}"))
        text, names = SQL.numbered("turn")
        for group in turns:
            params: dict[str, Any] = {
                "turns": f"[{','.join(request.text for request in group)}]", "bot_kinds": [], "asked": group[0].asked,
                "priorities": [], "run_ats": [], "ids": [], "run_within": "600 s", "seen_every": "5 s", "slow": "0 s",
            }  # fmt: skip
            params["asked"] = None if group[0].asked is None else list(group[0].asked)
            with psycopg.RawCursor(own) as cursor:
                assert len(cursor.execute(text, [params[name] for name in names]).fetchall()) == len(group)
    return [plan for plan in made if ":planTree" in plan]


def test_each_statement_is_cheap_and_reads_no_whole_table(plans: list[str]) -> None:
    tables = {str(oid) for oid in oids(Job, JobEvent, JobKind, Bot)}
    # All but the call itself, which is no statement of the function.
    inside = [plan for plan in plans if tables & set(_TABLES.findall(plan))]
    assert len(inside) > 12
    for plan in inside:
        cost, jit = _COST.search(plan), _JIT.search(plan)
        assert cost is not None and jit is not None
        assert float(cost[1]) < 100_000, plan
        assert jit[1] == "0", plan
        assert not any(int(count) for count in _FORBIDDEN.findall(plan)), plan
        assert "{SEQSCAN" not in plan, plan


def test_nothing_in_it_is_ever_compiled() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT proconfig FROM pg_proc WHERE proname = 'jobs_turns'")
        assert "jit=off" in cursor.fetchone()[0]


def oids(*models: type[Model]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid FROM pg_class WHERE relname = ANY (%s)", [[m._meta.db_table for m in models]])
        return [row[0] for row in cursor.fetchall()]
