"""How leases ended, added up by kind, by bot and by time, so that a page that compares them reads no jobs.

The tally of jobs (`jobs.figures`) knows no bots, and a job that was given back twice and then done is one success in
it. Here each lease counts, once, on the day and in the hour in which it ended
(docs/decisions/0010-statistics.md).
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Min, Q
from django.utils import timezone

from jobs import figures
from jobs.models import JobEvent, LeaseTally
from jobs.states import HELD, Actor, LeaseSpan, Verb
from jobs.stats import statements
from jobs.transitions import ENDING

#: How long the rows of each span are kept: a little longer than the longest and the shortest range of the patterns.
KEEP = {
    LeaseSpan.HOUR: timedelta(days=95),
    LeaseSpan.BOT_DAY: timedelta(days=95),
    LeaseSpan.BOT_HOUR: timedelta(hours=50),
}
#: Any number that no other lock of this database has.
LOCK = 0x1EA5E

#: Ways in which a lease is given back unfinished, by the tally's column: which events they are. The same as the CASE
#: in `leases.sql`; a test compares the two.
SOURCES = {
    "released": Q(verb=Verb.RELEASE, actor=Actor.OPERATOR),
    "expired": Q(verb=Verb.EXPIRE) | Q(verb=Verb.FAIL, actor=Actor.SWEEP),
    "handed_back": Q(verb=Verb.RELEASE) & ~Q(actor=Actor.OPERATOR),
}
#: The tally's columns: in how many ways a lease can end.
WAYS = ("succeeded", "failed", "cancelled", *SOURCES)


def keep(now: datetime | None = None) -> int:
    """Add up every minute that has closed since the last time. Returns how many; 0 when somebody else is at it.

    A minute is added up in the transaction that moves the mark, so once. What had happened before there was a mark is
    added up the first time.
    """
    minutes = 0
    while added := _add_chunk(now or timezone.now()):
        minutes += added
    return minutes


def mark() -> datetime | None:
    """Until when all is added up; None when nothing is yet."""
    return LeaseTally.objects.filter(span=LeaseSpan.MARK).values_list("start", flat=True).order_by("-start").first()


def _add_chunk(now: datetime) -> int:
    until = (now - figures.SETTLED).replace(second=0, microsecond=0)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return 0
        since = mark() or _beginning(until)
        until = min(until, since + figures.CHUNK)
        if until <= since:
            return 0
        statements.run(
            "leases", since=since, until=until, zone=settings.TIME_ZONE, bot_hours_from=now - KEEP[LeaseSpan.BOT_HOUR]
        )
        LeaseTally.objects.filter(span=LeaseSpan.MARK).delete()
        LeaseTally.objects.create(span=LeaseSpan.MARK, start=until)
        for span, kept in KEEP.items():
            LeaseTally.objects.filter(span=span, start__lt=now - kept).delete()
    return int((until - since) / timedelta(minutes=1))


def _beginning(until: datetime) -> datetime:
    """The minute in which the first lease ended that there is anything of; not longer ago than what is kept."""
    jobs = figures.oldest_finished()
    events = JobEvent.objects.filter(verb__in=ENDING, from_status__in=HELD).aggregate(first=Min("at"))["first"]
    first = min((moment for moment in (jobs, events) if moment is not None), default=until)
    return max(first, until - KEEP[LeaseSpan.HOUR]).replace(second=0, microsecond=0)
