"""A bot's record over a day, a week or a month: how its leases ended, beside those of all bots. From the rollup."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from bots.models import Bot
from jobs.models import Job, JobQuerySet, JobRollup
from jobs.states import Span
from jobs.stats import rollup

#: What a record may be of: `{name: (span of a bot's rows, length of each, how many of them)}`.
RANGES = {
    "day": (Span.BOT_HOUR, timedelta(hours=1), 24),
    "week": (Span.BOT_DAY, timedelta(days=1), 7),
    "month": (Span.BOT_DAY, timedelta(days=1), 30),
}
_SUMS = {
    "succeeded": Sum("succeeded"),
    "failed": Sum(F("attempts_failed") + F("given_up")),
    "expired": Sum("expired"),
    "released": Sum("released"),
    "ran": Sum("ran"),
}


@dataclass(frozen=True)
class Record:
    """How leases ended in one stretch of time: well, failed, expired, or released by operators; `ran` in seconds."""

    succeeded: int = 0
    failed: int = 0
    expired: int = 0
    released: int = 0
    ran: float = 0

    @property
    def success_share(self) -> float | None:
        """Succeeded of those that succeeded, failed or expired, from 0 to 1."""
        done = self.succeeded + self.failed + self.expired
        return self.succeeded / done if done else None

    @property
    def mean(self) -> float | None:
        """How long successes ran, in seconds."""
        return self.ran / self.succeeded if self.succeeded else None


def last_jobs(bot: Bot) -> JobQuerySet:
    """What the bot finished, the last first (index `job_finished_by`)."""
    return Job.objects.filter(finished_by=bot).order_by("-id").defer("payload", "result", "error")


def parts_of(bot: Bot, range_name: str) -> list[tuple[datetime, Record]]:
    """The bot's record in each hour or day of the range, the oldest first."""
    span, length, count = RANGES[range_name]
    rows = _rows(JobRollup.objects.filter(span=span, bot=bot.pk), "start", (count + 1) * length)
    starts = _starts(rows[0][1] if rows else timezone.now(), range_name)
    found: list[list[Record]] = [[] for _ in starts]
    for start, _, record in rows:
        if start >= starts[0]:
            # A day with another length, or an hour of another zone, belongs to the one in which it begins.
            found[min(int((start - starts[0]) / length), count - 1)].append(record)
    return [(start, added(records)) for start, records in zip(starts, found, strict=True)]


def added(records: Sequence[Record]) -> Record:
    """The sum of several records."""
    return Record(
        sum(one.succeeded for one in records),
        sum(one.failed for one in records),
        sum(one.expired for one in records),
        sum(one.released for one in records),
        sum(one.ran for one in records),
    )


def of_fleet(range_name: str) -> Record:
    """The record of all bots over the same time."""
    _, length, count = RANGES[range_name]
    rows = _rows(JobRollup.objects.filter(span=Span.HOUR, kind=""), "start", (count + 1) * length)
    since = _starts(rows[0][1] if rows else timezone.now(), range_name)[0]
    return added([record for start, _, record in rows if start >= since])


def of_last_day(bots: Collection[int]) -> dict[int, Record]:
    """The records of these bots over the last day. One query."""
    rows = JobRollup.objects.filter(span=Span.BOT_HOUR, bot__in=bots)
    return {bot: record for bot, _, record in _rows(rows, "bot", timedelta(days=1))}


def _rows(rows: QuerySet[JobRollup], by: str, past: timedelta) -> list[tuple[Any, datetime, Record]]:
    """What began within so much of the past, added up by a column: its value, the last minute, and the record."""
    last = rollup.last_counted()
    columns = rows.filter(start__gt=last - past).order_by().values(by).annotate(now=last, **_SUMS)
    return [(key, now, Record(*sums)) for key, now, *sums in columns.values_list(by, "now", *_SUMS)]


def _starts(now: datetime, range_name: str) -> list[datetime]:
    """When each hour or day of the range began, in the installation's time zone, the oldest first."""
    span, length, count = RANGES[range_name]
    last = timezone.localtime(now).replace(minute=0, second=0, microsecond=0)
    last = last if span == Span.BOT_HOUR else last.replace(hour=0)
    return [last - n * length for n in reversed(range(count))]
