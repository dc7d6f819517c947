"""A bot's record: how its last jobs went, beside those of all bots."""

from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from bots.models import Bot
from jobs.models import Job, JobEvent, JobQuerySet
from jobs.states import JobStatus, Verb
from jobs.stats.series import spreads
from jobsite.lib.planner import fenced

#: How many of a bot's last jobs its record is made from.
LOOKED_AT = 300
#: How far back a record reaches.
RECENT = timedelta(days=1)


@dataclass(frozen=True)
class Record:
    """How many ended well and badly, and the middle run time in seconds (None: nothing to say)."""

    succeeded: int
    failed: int
    run: float | None

    @property
    def success_share(self) -> float | None:
        """From 0 to 1."""
        done = self.succeeded + self.failed
        return self.succeeded / done if done else None


def last_jobs(bot: Bot) -> JobQuerySet:
    """What the bot finished, the last first (index `job_finished_by`)."""
    return Job.objects.filter(finished_by=bot).order_by("-id").defer("payload", "result", "error")


def record_of(bot: Bot) -> Record:
    """From the bot's last jobs of a day, at most `LOOKED_AT`, and the attempts of the same time that ended badly."""
    since = Now() - RECENT
    done = last_jobs(bot).filter(status=JobStatus.SUCCEEDED, finished_at__isnull=False)
    rows = done.annotate(lately=ExpressionWrapper(Q(finished_at__gte=since), output_field=BooleanField()))
    seen = list(rows.values_list("started_at", "finished_at", "lately")[:LOOKED_AT])
    recent = [(start, end) for start, end, lately in seen if lately and end]
    bad = JobEvent.objects.filter(fenced(Q(verb__in=[Verb.FAIL, Verb.EXPIRE])), bot=bot, at__gte=since)
    if len(seen) == LOOKED_AT and recent:
        bad = bad.filter(at__gte=recent[-1][1])
    runs = [(end - start).total_seconds() for start, end in recent if start]
    # Found by the bot, and not among all that ended in that time.
    return Record(len(recent), bad.order_by("-at")[:LOOKED_AT].count(), median(runs) if runs else None)


def of_fleet() -> Record:
    """From the rollup of the last day: jobs that succeeded and failed, and the step the middle run time is on."""
    spread = spreads(hours=24, kind="").get("")
    if spread is None:
        return Record(0, 0, None)
    return Record(spread.succeeded, spread.failed, spread.within(0.5))
