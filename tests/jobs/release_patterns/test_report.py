"""Release patterns: what is asked, what is counted of it, in which time, and what comes back again and again."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import JobRollup, RollupState
from jobs.release_patterns import samples
from jobs.release_patterns.params import COUNTED, ReportParams, midnight
from jobs.release_patterns.report import build
from jobs.states import Span
from jobs.stats import rollup
from tests.cast import bot_named, take_one

NOON = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)  # a Thursday


def asked(**params):
    return ReportParams.from_params({name.rstrip("_"): value for name, value in params.items()})


def given(lease, at, *, by=None, reason="it hangs", held=300):
    """The lease is given back at this moment, after it was held for so many seconds: by the sweep, or an operator."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET claimed_at = %s WHERE id = %s", [at - timedelta(seconds=held), lease.id])
    if by is None:
        lifecycle.expire([lease.id], by=lifecycle.SWEEP, reasons={lease.id: reason})
    else:
        lifecycle.release([lease.id], by=by, reason=reason)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_jobevent SET at = %s WHERE id = (SELECT max(id) FROM jobs_jobevent)", [at])
        # So that the next claim takes another.
        cursor.execute("UPDATE jobs_job SET run_at = now() + interval '1 day' WHERE id = %s", [lease.id])


def done(bot, at, **fields):
    lease = take_one(bot, **fields)
    lease.complete(1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET finished_at = %s WHERE id = %s", [at, lease.id])


@pytest.fixture
def told(db, ada, bob, olga):
    """Ada lost two leases and bob one, on two days; each has done two jobs."""
    given(take_one(ada), NOON - timedelta(hours=2), reason="silent for 6 m 10 s on sum job 1, limit 2 m")
    given(take_one(ada), NOON - timedelta(days=2), by=By.operator(olga))
    given(take_one(bob, kind="divide"), NOON - timedelta(hours=3), reason="silent for 9 m on sum job 2, limit 2 m")
    for bot in (ada, bob):
        for n in (1, 30):
            done(bot, NOON - timedelta(hours=n))
    rollup.add_closed_minutes(NOON + timedelta(seconds=90))


# --- What is asked ---------------------------------------------------------------------------------------------


def test_what_makes_no_sense_is_left_out_or_named():
    plain = ReportParams.from_params({})
    assert (plain.range, plain.kind, plain.bot, plain.counted) == ("7d", "", "", "taken")
    assert asked(range="century", counted="sheep") == plain
    assert asked(kind="a\0b", bot=" ada ").kind == "ab"
    assert asked(bot=" ada ").bot == "ada"


@pytest.mark.parametrize(
    ("params", "field", "said"),
    [
        ({"from": "yesterday"}, "from", "From: 'yesterday' is not a date. Write it as 2026-03-31."),
        ({"to": "2026-02-30"}, "to", "To: '2026-02-30' is not a date. Write it as 2026-03-31."),
        ({"from": "2026-03-05", "to": "2026-03-01"}, "from", "comes after To"),
    ],
)
def test_a_date_that_is_none_is_named(params, field, said):
    question = ReportParams.from_params(params)
    assert said in question.faults[field]
    assert question.range == "7d"


def test_a_question_comes_back_from_its_own_address():
    from django.http import QueryDict

    for question in (
        asked(range="30d", kind="a b&c", bot="ada", counted="bots"),
        ReportParams.from_params({"from": "2026-03-01", "to": "2026-03-05"}),
    ):
        assert ReportParams.from_params(QueryDict(question.query())) == question
    assert asked(from_="2026-03-01").query(range="24h") == "range=24h"


def test_ranges_are_whole_days_where_the_site_is(settings):
    settings.TIME_ZONE = "Europe/Vienna"
    assert asked(range="7d").span(NOON) == (datetime(2026, 2, 26, 23, 0, tzinfo=UTC), NOON)
    assert asked(range="24h").span(NOON + timedelta(minutes=7)) == (
        NOON - timedelta(hours=23), NOON + timedelta(minutes=7),
    )  # fmt: skip
    one = ReportParams.from_params({"from": "2026-03-03", "to": "2026-03-03"})
    assert one.span(NOON) == (datetime(2026, 3, 2, 23, 0, tzinfo=UTC), datetime(2026, 3, 3, 23, 0, tzinfo=UTC))
    # On the day on which the clocks go forward there are 23 hours, and 25 on the other.
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25)):
        since, until = ReportParams.from_params({"from": str(day), "to": str(day)}).span(
            midnight(day) + timedelta(days=9)
        )
        assert until - since == timedelta(hours=hours)


def test_a_range_ends_at_the_mark_and_is_never_longer_than_what_is_kept():
    since, until = ReportParams.from_params({"from": "2020-01-01", "to": "2030-01-01"}).span(NOON)
    assert until == NOON
    assert NOON - since < rollup.KEEP[Span.BOT_DAY]


# --- What is answered ------------------------------------------------------------------------------------------


def test_leases_are_counted_by_bot_kind_and_time(told, ada, bob):
    found = build(asked())
    assert (found.conclusions.given, found.conclusions.leases) == (3, 7)
    assert found.cells == {(str(ada.pk), "sum"): (2, 4), (str(bob.pk), "divide"): (1, 1), (str(bob.pk), "sum"): (0, 2)}
    assert found.names[str(ada.pk)] == "ada"
    assert {pair: counts for pair, counts in found.heat.items() if counts[0]} == {
        (4, 10): (1, 1), (2, 12): (1, 1), (4, 9): (1, 1),
    }  # fmt: skip
    assert [(bar.given, bar.leases) for bar in found.bars][-3:] == [(1, 1), (0, 2), (2, 4)]
    assert len(found.bars) == 7


def test_an_hour_in_which_jobs_only_waited_has_no_leases(told):
    JobRollup.objects.create(span="hour", start=NOON - timedelta(hours=9), pending=4)
    heat = build(asked()).heat
    assert (4, 3) not in heat
    assert sum(n for _, n in heat.values()) == 7


def test_hours_whose_row_of_all_kinds_has_no_leases_are_counted_by_their_kinds(told):
    """As they are after an upgrade from 430f651, which kept leases by kind alone."""
    before = build(asked())
    assert JobRollup.objects.filter(span="hour", kind="").update(succeeded=0, released=0, expired=0, leases_ended=0)
    assert (build(asked()).bars, build(asked()).heat) == (before.bars, before.heat)
    assert sum(bar.leases for bar in before.bars) == 7


def test_the_last_24_hours_are_by_the_hour(told, ada):
    found = build(asked(range="24h"))
    assert (found.conclusions.given, found.conclusions.leases) == (2, 4)
    assert found.hourly
    assert len(found.bars) == 24
    assert sum(bar.given for bar in found.bars) == 2


@pytest.mark.parametrize(
    ("counted", "n"), [("taken", 3), ("operators", 1), ("sweep", 2), ("bots", 1), ("all", 4)]
)  # fmt: skip
def test_what_is_counted_can_be_chosen(told, ada, counted, n):
    lease = take_one(ada)
    lease.hand_back()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs_jobevent SET at = %s WHERE verb = 'release' AND actor = 'bot'", [NOON + timedelta(minutes=2)]
        )
    rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    found = build(asked(counted=counted))
    assert set(COUNTED) == {"taken", "operators", "sweep", "bots", "all"}
    assert found.conclusions.given == len(found.samples.rows) == n
    assert found.conclusions.leases == 8
    # By each way there is a figure, whatever is counted.
    assert [count for _, count in found.ways] == [1, 2, 1]


def test_a_kind_and_a_bot_can_be_chosen(told, ada, bob):
    of_kind = build(asked(kind="divide"))
    assert (of_kind.conclusions.given, of_kind.conclusions.leases, len(of_kind.samples.rows)) == (1, 1, 1)
    assert of_kind.kinds == ["divide", "sum"]
    of_bot = build(asked(bot="ada"))
    assert (of_bot.conclusions.given, of_bot.conclusions.leases, len(of_bot.samples.rows)) == (2, 4, 2)
    assert of_bot.sentences[0].startswith("Bot ada does not stand out: 2 of its 4 leases")
    assert of_bot.heat == {(4, 10): (1, 0), (2, 12): (1, 0)}
    assert [(bar.given, bar.leases) for bar in of_bot.bars][-3:] == [(1, 1), (0, 1), (1, 2)]
    assert of_bot.conclusions.hours == []


def test_a_bot_that_is_not_there_is_named(told):
    found = build(asked(bot="zoe"))
    assert found.unknown_bot
    assert (found.conclusions.given, found.conclusions.leases, found.samples.rows, found.bars) == (0, 0, [], [])


def test_an_empty_range_and_an_empty_house_say_so(told):
    assert build(ReportParams.from_params({"from": "2026-02-01", "to": "2026-02-03"})).sentences == [
        "No lease ended in this range."
    ]
    RollupState.objects.all().delete()
    assert not build(asked()).marked


def test_hours_and_weekdays_are_those_of_the_site(told, settings):
    settings.TIME_ZONE = "Pacific/Auckland"  # thirteen hours ahead
    assert {pair for pair, counts in build(asked()).heat.items() if counts[0]} == {(4, 23), (3, 1), (4, 22)}


def test_the_hour_that_comes_twice_has_both_and_bars_have_each(ada, settings):
    settings.TIME_ZONE = "Europe/Vienna"
    # 02:30 comes twice on this Sunday: half past midnight and half past one by UTC.
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for n in range(2):
        given(take_one(ada), first + timedelta(hours=n))
    rollup.add_closed_minutes(first + timedelta(days=1))
    found = build(ReportParams.from_params({"from": "2026-10-25", "to": "2026-10-25"}))
    assert found.heat == {(7, 2): (2, 2)}
    assert len(found.bars) == 25
    assert [(bar.given, bar.start.hour) for bar in found.bars if bar.given] == [(1, 2), (1, 2)]
    assert len(build(ReportParams.from_params({"from": "2026-10-20", "to": "2026-10-25"})).bars) == 6


def test_a_planted_bot_is_found_in_the_database_too(ada, bob, olga):
    for n in range(30):
        at = NOON - timedelta(hours=3 * n)
        if n < 20:
            given(take_one(ada), at, by=By.operator(olga))
        for bot in (ada, bob, bob):
            done(bot, at)
    rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    found = build(asked())
    assert [(sort, one.value) for sort, one in found.conclusions.blamed] == [("bot", str(ada.pk))]
    assert found.sentences[0].startswith("It is bot ada: 20 of its 50 leases were returned (40 %, between 28 and 54)")


def test_a_bot_that_lost_twenty_at_once_is_not_a_pattern(ada, bob, olga):
    held = [take_one(ada) for _ in range(20)]
    for lease in held:
        given(lease, NOON - timedelta(hours=1), by=By.operator(olga))
    for n in range(30):
        for bot in (ada, bob, bob):
            done(bot, NOON - timedelta(hours=3 * n))
    rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    assert build(asked()).conclusions.blamed == []


# --- One by one ------------------------------------------------------------------------------------------------


def test_reasons_that_differ_only_in_figures_are_one(told):
    rows = build(asked()).samples.rows
    assert samples.reasons(rows) == [("silent for … on sum job …, limit …", 2), ("it hangs", 1)]
    assert samples.actors(rows) == [("the sweep", 2), ("olga", 1)]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("silent for 6 m 10 s on sum job 17, limit 2 m; 41 of the last 50 took under 3 s",
         "silent for … on sum job …, limit …; … of the last … took under …"),
        ("bot fetch-003 was started again", "bot fetch-… was started again"),
        ("", "no reason given"),
        ("  \n", "no reason given"),
        ("first line\nsecond", "first line"),
        ("sha256 is wrong", "sha256 is wrong"),
    ],
)  # fmt: skip
def test_a_reason_is_told_without_what_differs(reason, said):
    assert samples.plain(reason) == said


def test_how_long_leases_had_been_held(ada):
    for held in (5, 60, 61, 100_000):
        given(take_one(ada), NOON, held=held)
    rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    found = samples.held_for(build(asked()).samples.rows)
    assert {step: n for step, n in found.steps if n} == {10: 1, 60: 1, 120: 1, None: 1}
    assert (found.median, found.known) == (60.5, 4)
    assert samples.held_for([]).median is None


def test_a_job_that_comes_back_has_its_story(ada, bob, olga):
    carl = bot_named("carl")
    lease = take_one(ada)
    given(lease, NOON - timedelta(hours=3), by=By.operator(olga))
    for n, bot in enumerate((bob, carl)):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE jobs_job SET run_at = now() - interval '1 day' WHERE id = %s", [lease.id])
        (again,) = lifecycle.claim(bot)
        assert again.id == lease.id
        given(lease, NOON - timedelta(hours=2 - n), by=By.operator(olga))
    rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    found = build(asked())
    (job,) = samples.repeated_jobs(found.samples.rows, found.names)
    assert (job.id, job.times, job.kind, job.last) == (lease.id, 3, "sum", NOON - timedelta(hours=1))
    assert job.story == "by 3 different bots: carl, bob, ada"
    assert samples.repeated_bots(found.samples.rows) == []


def test_a_bot_that_comes_back_has_its_story(told, ada):
    (bot,) = samples.repeated_bots(build(asked()).samples.rows)
    assert (bot.id, bot.times, bot.kind, bot.story) == (ada.pk, 2, "sum", "2 different jobs, on 2 days")


def test_only_the_newest_are_read_and_the_report_shows_how_far_that_reaches(told, monkeypatch):
    assert build(asked()).samples.all
    monkeypatch.setattr(samples, "MAX_SAMPLES", 2)
    looked = build(asked()).samples
    assert (len(looked.rows), looked.all, looked.since) == (2, False, NOON - timedelta(hours=3))
    monkeypatch.setattr(samples, "MAX_SEARCHED", 1)
    looked = build(asked()).samples
    assert (len(looked.rows), looked.all, looked.since) == (1, False, NOON - timedelta(hours=2))
