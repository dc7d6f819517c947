"""The rollup has the figures that the four before it had: a week of seeded history, added by both."""

import time
from collections import Counter, defaultdict
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from jobs import figures, leases, learned as old_learned, meter
from jobs.models import JobKind, JobRollup, LeaseTally, Learned, Metered, Tally
from jobs.states import LeaseSpan, Meter, Span
from jobs.stats import counts, rollup, series
from jobs.stats.times import FINE, HOME, METRICS
from jobsite.lib import histogram

pytestmark = pytest.mark.django_db


def test_same(settings, capsys):
    settings.DEBUG = True
    meter.keep(timezone.now() - timedelta(days=20))
    call_command("seed", "8000", "--bots", "30")
    from tests.cast import take_one, bot_named
    from jobs import lifecycle
    from jobs.lifecycle import By
    zed = bot_named("zed")
    held = [take_one(zed) for _ in range(7)]
    held[0].complete(1); held[1].fail(retry=False); held[2].fail(); held[3].hand_back()
    lifecycle.cancel([held[4].id], by=By.operator(None) if False else lifecycle.SWEEP)
    lifecycle.expire([held[5].id], by=lifecycle.SWEEP, reasons={held[5].id: "silent"})
    lifecycle.give_up([held[6].id], by=lifecycle.SWEEP, reasons={held[6].id: "silent"})
    with connection.cursor() as c:
        c.execute("""INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
        SELECT id, 1, 'cancel', 'pending', 'cancelled', NULL, 'operator', 'x', '', finished_at, '{}' FROM jobs_job j
        WHERE status='cancelled' AND NOT EXISTS (SELECT 1 FROM jobs_jobevent e WHERE e.job_id=j.id AND verb='cancel')""")
        c.execute("DELETE FROM jobs_tally"); c.execute("DELETE FROM jobs_leasetally")
        c.execute("DELETE FROM jobs_learned")
    JobKind.objects.update(learned_run_within=None)
    now = timezone.now() + timedelta(minutes=5)
    t = time.monotonic()
    figures.keep_tally(now); leases.keep(now); meter.keep(now)
    old = time.monotonic() - t
    learned_old = list(Learned.objects.order_by("kind").values_list("kind", "before", "latest", "jobs", "quick", "under"))
    limits_old = dict(JobKind.objects.values_list("name", "learned_run_within"))
    Learned.objects.all().delete()
    JobKind.objects.update(learned_run_within=None)
    t = time.monotonic()
    rollup.add_closed_minutes(now)
    new = time.monotonic() - t
    print(f"old {old:.2f} s, new {new:.2f} s")
    # learned
    assert list(Learned.objects.order_by("kind").values_list("kind", "before", "latest", "jobs", "quick", "under")) == learned_old
    assert dict(JobKind.objects.values_list("name", "learned_run_within")) == limits_old
    # tally
    n = 0
    for span in ("minute", "quarter", "hour"):
        rows = {(r.kind, r.start): r for r in JobRollup.objects.filter(span=span, bot=0)}
        tallies = list(Tally.objects.filter(span=span))
        if span == "hour":
            seen = {(r.kind, r.start) for r in tallies}
            assert seen == {k for k, r in rows.items() if r.succeeded + r.failed + r.cancelled}
        for row in tallies:
            mine = rows.get((row.kind, row.start))
            if mine is None:
                assert (row.succeeded, row.failed, row.cancelled, row.waits) == (0, 0, 0, 0)
                continue
            n += 1
            assert (mine.succeeded, mine.failed, mine.cancelled, mine.waits) == (row.succeeded, row.failed, row.cancelled, row.waits), (span, row.kind, row.start)
            assert mine.waited == pytest.approx(row.waited) and mine.ran == pytest.approx(row.ran)
            if span == "hour":
                assert FINE.regroup(histogram.from_json(mine.run_times), HOME) == row.runs
    for span in ("hour", "bot_hour", "bot_day"):
        rows = {(r.kind, r.bot, r.start): r for r in JobRollup.objects.filter(span=span).exclude(kind="")}
        found = list(LeaseTally.objects.filter(span=span))
        assert found
        for row in found:
            n += 1
            mine = rows.pop((row.kind, row.bot, row.start))
            assert (mine.succeeded, mine.attempts_failed, mine.cancelled_held, mine.released, mine.handed_back, mine.expired + mine.given_up) == (row.succeeded, row.failed, row.cancelled, row.released, row.handed_back, row.expired)
        if span != "hour":
            assert not rows
    totals = counts.totals()
    for row in Metered.objects.all():
        t = totals.get(row.kind)
        n += 1
        if row.name == Meter.FINISHED: assert getattr(t, row.source) == row.n, row
        elif row.name == Meter.FAILED: assert {"bot": t.attempts_failed, "sweep": t.given_up}[row.source] == row.n
        elif row.name == Meter.RELEASED: assert {"operator": t.released, "bot": t.handed_back, "sweep": t.requeued}[row.source] == row.n
        elif row.name == Meter.EXPIRED: assert t.expired == row.n
        elif row.name == Meter.LEASES: assert t.leases_ended == row.n
        elif row.name == Meter.CLAIMS: assert t.leases_given == row.n
        elif row.name == Meter.WAIT:
            mine = FINE.regroup(histogram.from_json(t.wait_times), METRICS); assert t.waits == sum(mine)
            print("wait", row.kind, row.n - t.waits, [b-a for a, b in zip(mine, row.steps)])
            assert t.waited == pytest.approx(row.seconds)
        elif row.name == Meter.RUN:
            assert FINE.regroup(histogram.from_json(t.run_times), METRICS) == row.steps
            assert t.ran == pytest.approx(row.seconds) and sum(row.steps) == row.n
        elif row.name == Meter.KIND: assert t is not None
        else: print("skipped", row.name); n -= 1
    for window in ("hour", "day", "week"):
        for kind in ("", "mail.send"):
            a = [(b.start, b.ended, b.run, b.wait) for b in figures.series(window, kind)]
            b = [(b.start, b.ended, b.run, b.wait) for b in series.series(window, kind)]
            assert [x[:2] for x in a] == [x[:2] for x in b]
            for x, y in zip(a, b): assert (x[2], x[3]) == (pytest.approx(y[2]), pytest.approx(y[3]))
    a, b = figures.spreads(), series.spreads()
    assert a.keys() == b.keys()
    for k in a:
        assert (a[k].succeeded, a[k].failed, a[k].cancelled, a[k].steps) == (b[k].succeeded, b[k].failed, b[k].cancelled, b[k].steps)
    print(n, "rows compared", len(totals), Metered.objects.filter(name="run").count())
