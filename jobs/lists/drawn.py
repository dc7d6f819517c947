"""The charts of Home, kinds and bots: what ended, how long it took, and what waits, with the figures behind them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.lists import queues
from jobs.stats import recent, series
from jobs.stats.bot_record import Record
from jobs.stats.learned import SHARE, Recent
from jobs.stats.times import ERROR
from jobsite.lib import charts

#: The most bars of a chart that have a text each.
MOST_TIPS = 100


def _moments(starts: Sequence[Any], window: str) -> list[str]:
    shape = "%a %H:%M" if window == "week" else "%H:%M"
    return [timezone.localtime(start).strftime(shape) for start in starts]


def _ends(moments: Sequence[str]) -> list[str]:
    """The texts under a chart: under its first bar, its last one, and three between."""
    return [*moments[:: len(moments) // 4][:4], moments[-1]]


def throughput(window: str, kind: str = "") -> dict[str, Any]:
    """What ended in one period and how long it took, for one kind or all, with the numbers."""
    bars = series.series(window, kind)
    moments = _moments([bar.start for bar in bars], window)
    done, failed = sum(bar.succeeded for bar in bars), sum(bar.failed for bar in bars)
    of = f" of {kind}" if kind else ""
    ended = [
        charts.Line("good", "succeeded", [bar.succeeded for bar in bars]),
        charts.Line("bad", "failed", [bar.failed for bar in bars]),
        charts.Line("wait", "cancelled", [bar.cancelled for bar in bars]),
    ]
    tips = [_tip(at, bar) if bar.ended else "" for at, bar in zip(moments, bars, strict=True)]
    # More would be a third of the page.
    tips = tips if len(tips) <= MOST_TIPS else []
    label = f"Jobs{of} that finished in the last {window}: {done} succeeded, {failed} failed. Numbers: see the table."
    times = [
        charts.Line("work", "run", [bar.run for bar in bars]),
        charts.Line("warn", "wait", [bar.wait for bar in bars]),
    ]
    label_of_times = f"Mean wait and run time of jobs{of} in the last {window}. The numbers are in the table below."
    return {
        "window": window,
        "windows": list(series.WINDOWS),
        "bars": bars,
        "until": bars[-1].until,
        "done": done,
        "failed": failed,
        "throughput": charts.stacked(ended, _ends(moments), label, tips=tips),
        "times": charts.lines(times, _ends(moments), label_of_times),
        "backlog": _backlog(kind, window, bars, moments) if kind else "",
    }


def _tip(at: str, bar: series.Bar) -> str:
    counts = {"ok": bar.succeeded, "failed": bar.failed, "cancelled": bar.cancelled}
    ended = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    return f"{at}: {ended}; run {charts.seconds(bar.run)}, wait {charts.seconds(bar.wait)}"


def _backlog(kind: str, window: str, bars: Sequence[series.Bar], moments: Sequence[str]) -> SafeString:
    """How many jobs of a kind were pending, and due, over time, as a chart; a gap where they were not counted."""
    rows = [
        charts.Line("work", "pending", [bar.pending for bar in bars]),
        charts.Line("warn", "due", [bar.due for bar in bars]),
    ]
    tips = [
        "" if bar.pending is None else f"{at}: {bar.pending} pending, {bar.due} due"
        for at, bar in zip(moments, bars, strict=True)
    ]
    most = max(bar.pending or 0 for bar in bars)
    label = f"Pending and due jobs of {kind} in the last {window}: at most {most} pending. Numbers: see the table."
    return charts.lines(rows, _ends(moments), label, tips if len(tips) <= MOST_TIPS else [], numbers=True)


def percentiles(kind: str, window: str) -> dict[str, Any]:
    """Run and wait times of a kind over the last day or week: their percentiles as a chart, and as figures."""
    window = "week" if window == "week" else "day"
    times = recent.of_kind(kind)
    hours = times.week() if window == "week" else times.day()
    moments = _moments([hour.start for hour in hours], window)
    rows = [
        charts.Line("work", "run, p95", [hour.run.p95 for hour in hours]),
        charts.Line("good", "run, p50", [hour.run.p50 for hour in hours]),
        charts.Line("warn", "wait, p95", [hour.wait.p95 for hour in hours]),
    ]
    tips = [
        f"{at}: run p50 {charts.seconds(hour.run.p50)}, p95 {charts.seconds(hour.run.p95)}, "
        f"wait p95 {charts.seconds(hour.wait.p95)}"
        for at, hour in zip(moments, hours, strict=True)
    ]
    label = f"Run and wait times of {kind} in the last {window}. The numbers are in the table below."
    return {
        "window": window,
        "hours": hours,
        "chart": charts.lines(rows, _ends(moments), label, tips=tips),
        "now": times.now,
        "before": times.before,
        "steps": (steps := times.steps()),
        "distribution": _distribution(steps),
    }


def of_bot(parts: Sequence[tuple[datetime, Record]], range_name: str) -> SafeString:
    """How a bot's leases ended in each hour or day, as a chart."""
    shape = "%H:%M" if range_name == "day" else "%d %b"
    moments = [start.strftime(shape) for start, _ in parts]
    rows = [
        charts.Line("good", "succeeded", [record.succeeded for _, record in parts]),
        charts.Line("bad", "failed", [record.failed for _, record in parts]),
        charts.Line("warn", "expired", [record.expired for _, record in parts]),
    ]
    tips = [
        f"{at}: {record.succeeded} succeeded, {record.failed} failed, {record.expired} expired"
        for at, (_, record) in zip(moments, parts, strict=True)
    ]
    label = f"How its leases ended in the last {range_name}. The table has the sums."
    return charts.stacked(rows, [moments[0], moments[-1]], label, tips=tips)


def came_due(kind: str) -> dict[str, Any]:
    """The due jobs of a kind by the hour in which they became due, as a chart."""
    hours = queues.came_due(kind)
    tips = [
        f"{waiting} became due {len(hours) - n - 1} to {len(hours) - n} h ago" if waiting else ""
        for n, waiting in enumerate(hours)
    ]
    ends = [f"{len(hours)} h ago", f"{len(hours) // 2} h ago", "now"]
    label = f"Due jobs of {kind}, by when they became due: {sum(hours)}."
    return {
        "n": sum(hours),
        "chart": charts.stacked([charts.Line("warn", "due", hours)], ends, label, wide=320, tips=tips),
    }


def learned_distribution(recent: Recent) -> SafeString:
    """A bar chart of the run times a limit was learned from, with those beyond the learned share marked."""
    steps, most = recent.steps(), recent.longest_of(SHARE) or 0
    ends = (f"up to {charts.seconds(steps[0][0])}", f"up to {charts.seconds(steps[-1][0])}")
    label = f"Run times of the last {recent.jobs} successes. The numbers are in the table below."
    bars = [
        charts.Line("work", "within", [n if seconds <= most * (1 + 2 * ERROR) else 0 for seconds, n in steps]),
        charts.Line("warn", "beyond", [0 if seconds <= most * (1 + 2 * ERROR) else n for seconds, n in steps]),
    ]
    return charts.stacked(bars, ends, label)


def _distribution(steps: Sequence[tuple[float | None, int]]) -> SafeString:
    """A bar chart of run times, from the first non-empty bucket to the last."""
    some = [n for n, (_, count) in enumerate(steps) if count]
    if not some:
        return format_html("{}", "")
    steps = steps[max(0, some[0] - 1) : some[-1] + 2]
    ends = (
        f"up to {charts.seconds(steps[0][0])}",
        "longer" if steps[-1][0] is None else f"up to {charts.seconds(steps[-1][0])}",
    )
    label = "Run times on the last day. The numbers are in the table below."
    return charts.stacked([charts.Line("work", "jobs", [count for _, count in steps])], ends, label, wide=320)
