"""A database with four rollups gets one, and no figure changes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from jobs.models import JobRollup, RollupState
from jobs.states import Span
from jobs.stats import counts, metrics, recent, rollup, series
from jobs.stats.times import FINE, HOME, METRICS
from jobsite.lib import histogram
from tests.jobsite.empty_database import copied, switch_to

pytestmark = pytest.mark.django_db(transaction=True)

FOUR = [("jobs", "0019_one_turn")]
#: Until when the newest of the four was added up; the others were a minute or two behind.
UNTIL = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
#: The hour of the last minute that was added up, with which charts end.
HOUR = (UNTIL - MINUTE).replace(minute=0)
RUNS = [0, 3, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
WAITS = [5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2]


def ask(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchall() if cursor.description else []


def add(table: str, **columns: Any) -> None:
    names = ", ".join(columns)
    ask(f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(columns))})", *columns.values())


def tally(span: str, start: datetime, kind: str, **columns: Any) -> None:
    empty = dict.fromkeys(("succeeded", "failed", "cancelled", "waits", "waited", "ran"), 0)
    add("jobs_tally", span=span, start=start, kind=kind, **empty | {"runs": [0] * 19} | columns)


def metered(name: str, kind: str, source: str = "", n: int = 0, **columns: Any) -> None:
    add("jobs_metered", name=name, kind=kind, source=source, n=n, **columns)


@pytest.fixture(scope="module")
def four(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[str, int]]:
    """The name of a database before the migration, with rows in all four, and its bot; made once."""
    own = connection.settings_dict["NAME"]
    with django_db_blocker.unblock(), copied(own, f"{own}_four"):
        bot = fill()
        switch_to(own)
        yield f"{own}_four", bot


@pytest.fixture
def at_four(four: tuple[str, int], transactional_db: None) -> Iterator[int]:
    """A copy of it: its bot."""
    name, bot = four
    with copied(name, f"{name}_now"):
        yield bot


@pytest.fixture(scope="module")
def one(four: tuple[str, int]) -> Iterator[str]:
    """The name of a copy after the migration, for tests that change nothing."""
    own, (name, _) = connection.settings_dict["NAME"], four
    with copied(name, f"{name}_one"):
        upgrade()
        switch_to(own)
        yield f"{name}_one"


@pytest.fixture
def at_one(one: str, four: tuple[str, int], transactional_db: None) -> Iterator[int]:
    """That copy: its bot."""
    own = connection.settings_dict["NAME"]
    switch_to(one)
    yield four[1]
    switch_to(own)


def fill() -> int:
    """Bring the database to where it was before the migration, with rows in all four. Returns the bot."""
    MigrationExecutor(connection).migrate(FOUR)
    for table in ("jobs_tally", "jobs_leasetally", "jobs_metered"):
        ask(f"DELETE FROM {table}")
    ask("INSERT INTO jobs_jobkind (name, learned_run_within) VALUES ('sum', interval '90 seconds'), ('divide', NULL)")
    ((bot,),) = ask("INSERT INTO bots_bot (name, kinds) VALUES ('ada', '{}') RETURNING id")
    for kind in ("sum", ""):
        for span, start in (("minute", UNTIL - 4 * MINUTE), ("quarter", HOUR), ("hour", HOUR)):
            tally(span, start, kind, succeeded=6, failed=2, cancelled=1, waits=8, waited=21.5, ran=30.25, runs=RUNS)
    # The tally had everything until two minutes before, the leases until one minute before, the counters all.
    tally("minute", UNTIL - 3 * MINUTE, "")
    leases: dict[str, Any] = {"succeeded": 6, "failed": 3, "cancelled": 1, "released": 4, "handed_back": 5}
    for span, start, of in (("hour", HOUR, 0), ("bot_hour", HOUR, bot), ("bot_day", HOUR.replace(hour=0), bot)):
        add("jobs_leasetally", span=span, start=start, kind="sum", bot=of, expired=7, **leases)
    add("jobs_leasetally", span="hour", start=HOUR - timedelta(days=60), kind="sum", bot=0, expired=2, **leases)
    add("jobs_leasetally", span="mark", start=UNTIL - MINUTE, kind="", bot=0)
    metered("mark", "", at=UNTIL)
    metered("kind", "sum")
    metered("kind", "divide")
    metered("claims", "sum", n=99)
    metered("leases", "sum", n=90)
    for how, n in (("succeeded", 50), ("failed", 7), ("cancelled", 3)):
        metered("finished", "sum", how, n)
    for who, n in (("bot", 11), ("sweep", 2)):
        metered("failed", "sum", who, n)
    for who, n in (("operator", 4), ("bot", 5), ("sweep", 6)):
        metered("released", "sum", who, n)
    metered("expired", "sum", n=8)
    metered("wait", "sum", n=8, seconds=21.5, steps=WAITS)
    metered("run", "sum", n=6, seconds=30.25, steps=[1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0])
    metered("finished", "_other", "succeeded", 1000)
    metered("pending", "sum", n=17)
    metered("counted", "", n=17, seconds=0.25, at=UNTIL)
    return int(bot)


def upgrade() -> None:
    """Migrate as an upgrade does, to the tables that today's models read."""
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def finished(bot: int, minutes: int) -> None:
    """A job that ended so many minutes before the newest of the four had been added up."""
    end = UNTIL - minutes * MINUTE + timedelta(seconds=20)
    add(
        "jobs_job", kind_id="sum", payload=json.dumps({}), status="succeeded", attempt=1, finished_at=end,
        finished_by_id=bot, claimed_at=end - timedelta(seconds=4), started_at=end - timedelta(seconds=3),
        run_at=end - timedelta(seconds=9),
    )  # fmt: skip


def rows(**where: Any) -> JobRollup:
    return JobRollup.objects.get(kind="sum", **where)


def test_charts_and_kinds_have_the_same_figures(at_one: int) -> None:
    for span, start in ((Span.MINUTE, UNTIL - 4 * MINUTE), (Span.QUARTER, HOUR), (Span.HOUR, HOUR)):
        row = rows(span=span, start=start)
        assert (row.succeeded, row.failed, row.cancelled, row.waits, row.waited, row.ran) == (6, 2, 1, 8, 21.5, 30.25)
    assert FINE.regroup(histogram.from_json(rows(span=Span.HOUR, start=HOUR).run_times), HOME) == RUNS
    (bar,) = [bar for bar in series.series("week") if bar.ended]
    assert (bar.start, bar.succeeded, bar.failed, bar.cancelled) == (HOUR, 6, 2, 1)
    assert [n for _, n in recent.of_kind("sum").steps()] == RUNS
    assert bar.run == 30.25 / 6


def test_release_patterns_have_the_same_figures(at_one: int) -> None:
    for where in ({"span": "hour"}, {"span": "bot_hour", "bot": at_one}, {"span": "bot_day", "bot": at_one}):
        row = rows(start__gte=UNTIL - timedelta(days=2), **where)
        assert (row.succeeded, row.attempts_failed, row.cancelled_held) == (6, 3, 1)
        assert (row.released, row.handed_back, row.expired + row.given_up) == (4, 5, 7)
    # An hour that the charts had not kept.
    assert rows(span="hour", start=HOUR - timedelta(days=60)).expired == 2


def test_counters_go_on_from_where_they_were(at_one: int) -> None:
    found = [sample for family in metrics.collect() for sample in family.samples]
    samples = {(sample.name, *sample.labels.values()): sample.value for sample in found}
    expected = {
        ("jobsite_claims_total", "sum"): 99, ("jobsite_claims_total", "divide"): 0,
        ("jobsite_jobs_finished_total", "sum", "succeeded"): 50, ("jobsite_jobs_finished_total", "sum", "failed"): 7,
        ("jobsite_jobs_finished_total", "sum", "cancelled"): 3,
        ("jobsite_jobs_finished_total", "_other", "succeeded"): 1000,
        ("jobsite_attempts_failed_total", "sum", "bot"): 11, ("jobsite_attempts_failed_total", "sum", "sweep"): 2,
        ("jobsite_releases_total", "sum", "operator"): 4, ("jobsite_releases_total", "sum", "bot"): 5,
        ("jobsite_releases_total", "sum", "sweep"): 6, ("jobsite_expiries_total", "sum"): 8,
        ("jobsite_job_wait_seconds_count", "sum"): 8, ("jobsite_job_wait_seconds_sum", "sum"): 21.5,
        ("jobsite_job_run_seconds_count", "sum"): 6, ("jobsite_job_run_seconds_sum", "sum"): 30.25,
        ("jobsite_job_run_seconds_bucket", "sum", "0.5"): 3, ("jobsite_job_run_seconds_bucket", "sum", "14400.0"): 6,
        ("jobsite_job_wait_seconds_bucket", "sum", "0.1"): 5, ("jobsite_job_wait_seconds_bucket", "sum", "14400.0"): 6,
        ("jobsite_counted_until_timestamp_seconds",): UNTIL.timestamp(),
    }  # fmt: skip
    assert {key: samples.get(key) for key in expected} == expected
    assert FINE.regroup(histogram.from_json(rows(span="total").wait_times), METRICS) == WAITS
    assert rows(span="total").leases_ended == 90
    state = RollupState.objects.get()
    assert (state.added_until, state.pending, state.pending_at, state.pending_took) == (UNTIL, {"sum": 17}, UNTIL, 0.25)
    assert counts.label_kinds() == ["divide", "sum"]
    assert ask("SELECT learned_run_within FROM jobs_jobkind WHERE name = 'sum'") == [(timedelta(seconds=90),)]


def test_what_one_of_them_had_not_added_up_yet_is_in_all_figures_once(at_four: int) -> None:
    # In all but the tally; in the counters only.
    finished(at_four, 2)
    finished(at_four, 1)
    upgrade()
    assert rows(span="minute", start=UNTIL - 2 * MINUTE).succeeded == 1
    assert rows(span="minute", start=UNTIL - MINUTE).succeeded == 1
    assert sum(JobRollup.objects.filter(span="hour", kind="").values_list("succeeded", flat=True)) == 8
    assert sum(JobRollup.objects.filter(span="bot_day", kind="sum").values_list("succeeded", flat=True)) == 7
    assert rows(span="total").succeeded == 50
    # And the next sweep goes on from there.
    finished(at_four, 0)
    rollup.add_closed_minutes()
    assert rows(span="total").succeeded == 51
    assert rollup.added_until() > UNTIL  # type: ignore[operator]


def test_figures_that_a_clock_ahead_ended_in_the_future_go_on_now(at_four: int) -> None:
    ask("UPDATE jobs_metered SET at = at + interval '3 hours' WHERE name = 'mark'")
    upgrade()
    until = rollup.added_until()
    assert until is not None
    assert until <= datetime.now(UTC) + MINUTE


def test_a_database_without_figures_begins_as_a_new_one(at_four: int) -> None:
    for table in ("jobs_tally", "jobs_leasetally", "jobs_metered"):
        ask(f"DELETE FROM {table}")
    upgrade()
    assert not JobRollup.objects.exists()
    assert rollup.added_until() is None
    assert ask("SELECT to_regclass('jobs_tally'), to_regclass('jobs_leasetally'), to_regclass('jobs_metered')") == [
        (None, None, None)
    ]
