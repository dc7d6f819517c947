"""What the console's pages ask for: Home, the places at the top, and how states, ages and figures are shown."""

from typing import Any

from django import template
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import transitions
from jobs.lists import home as lists_home
from jobs.models import Job, JobKind
from jobs.stats import counts, series
from jobs.stats.learned import SHARE, Recent
from jobs.stats.times import ERROR
from jobsite.lib import badges, charts, json_view
from jobsite.lib.durations import words

register = template.Library()

badge = register.filter("badge", badges.badge)
age = register.filter("age", badges.age)
seconds = register.filter("seconds", charts.seconds)
duration = register.filter("duration", words)
fold = register.filter("fold", json_view.fold)


@register.filter
def family(state: str) -> str:
    """The family of a state: the class of its colour and icon."""
    return badges.FAMILIES.get(state, "wait")


@register.filter
def word(state: str) -> str:
    """A state as a word."""
    return state.replace("_", " ")


@register.filter
def per_cent(share: float | None) -> str:
    """A share as `0.4 %`; a dash for none."""
    return "–" if share is None else f"{share * 100:.1f} %"


#: The places at the top of every page: `(name, url, the permission it needs, a path it is known by)`.
PLACES = (
    ("Home", "admin:index", None),
    ("Incidents", "admin:alerts_incident_changelist", "alerts.view_incident"),
    ("Jobs", "admin:jobs_job_changelist", "jobs.view_job"),
    ("Bots", "admin:bots_bot_changelist", "bots.view_bot"),
    ("Kinds", "admin:jobs_jobkind_changelist", "jobs.view_jobkind"),
    ("History", "admin:jobs_jobevent_changelist", "jobs.view_jobevent"),
    ("Channels", "admin:alerts_channel_changelist", "alerts.view_channel"),
    ("Keys", "admin:bots_apikey_changelist", "bots.view_apikey"),
    ("People", "admin:auth_user_changelist", "auth.view_user"),
)


@register.simple_tag
def places(request: HttpRequest) -> list[dict[str, Any]]:
    """Where this user may go, and which of it is here."""
    found = []
    for name, view, permission in PLACES:
        if permission and not request.user.has_perm(permission):
            continue
        try:
            url = reverse(view)
        except NoReverseMatch:
            continue
        here = request.path == url if name == "Home" else request.path.startswith(url)
        found.append({"name": name, "url": url, "here": here})
    return found


@register.simple_tag
def home(request: HttpRequest) -> dict[str, Any]:
    """All that Home shows, for those who may see jobs and bots."""
    user = request.user
    if not (user.has_perm("jobs.view_job") and user.has_perm("bots.view_bot")):
        return {"allowed": False}
    window = request.GET.get("span", "hour")
    window = window if window in series.WINDOWS else "hour"
    statuses, releases = counts.by_status()
    return {
        "allowed": True,
        "needs": lists_home.needs_now(),
        "may_release": user.has_perm("jobs.release_job"),
        "fleet": lists_home.fleet(),
        "statuses": statuses,
        "releases": releases,
        "oldest": counts.oldest_pending()[:12],
        "recent": lists_home.interventions(),
        "now": timezone.now(),
    } | pictures(window)


def pictures(window: str, kind: str = "") -> dict[str, Any]:
    """The charts of one window, of one kind or of all, with the figures behind them."""
    bars = series.series(window, kind)
    shape = "%a %H:%M" if window == "week" else "%H:%M"
    ends = (timezone.localtime(bars[0].start).strftime(shape), timezone.localtime(bars[-1].start).strftime(shape))
    done, failed = sum(bar.succeeded for bar in bars), sum(bar.failed for bar in bars)
    of = f" of {kind}" if kind else ""
    return {
        "window": window,
        "windows": list(series.WINDOWS),
        "bars": bars,
        "done": done,
        "failed": failed,
        "throughput": charts.stacked(
            [
                charts.Line("good", "succeeded", [bar.succeeded for bar in bars]),
                charts.Line("bad", "failed", [bar.failed for bar in bars]),
                charts.Line("wait", "cancelled", [bar.cancelled for bar in bars]),
            ],
            ends,
            f"Jobs{of} that ended in the last {window}: {done} succeeded, {failed} failed. The table has the figures.",
        ),
        "times": charts.lines(
            [
                charts.Line("work", "run", [bar.run for bar in bars]),
                charts.Line("warn", "wait", [bar.wait for bar in bars]),
            ],
            ends,
            f"Mean wait and run time of jobs{of} in the last {window}. The figures are in the table below.",
        ),
    }


@register.simple_tag
def kinds() -> list[str]:
    """The names of all kinds, for a menu; the first two hundred."""
    return list(JobKind.objects.values_list("name", flat=True)[:200])


@register.filter
def query(given: str, more: str) -> str:
    """A query string with one more part."""
    return f"?{given}&{more}" if given else f"?{more}"


@register.filter
def quoted(pk: str) -> str:
    """A key as the admin has it in addresses."""
    return str(quote(pk))


@register.filter
def look(verb: str) -> str:
    """The family in which a verb stands in a timeline."""
    return transitions.rows(verb)[0].look


@register.filter
def ran(job: Job) -> float | None:
    """How long a job ran, in seconds."""
    if job.started_at is None or job.finished_at is None:
        return None
    return (job.finished_at - job.started_at).total_seconds()


@register.simple_tag
def kind_pictures(kind: str, window: str) -> dict[str, Any]:
    """The charts of one kind."""
    return pictures(window, kind)


@register.simple_tag
def learned_distribution(recent: Recent) -> SafeString:
    """The run times a limit was learned from, as bars; those beyond the share it is made from stand out."""
    steps, most = recent.steps(), recent.longest_of(SHARE) or 0
    ends = (f"up to {charts.seconds(steps[0][0])}", f"up to {charts.seconds(steps[-1][0])}")
    label = f"How many of the last {recent.jobs} successes ran how long. The figures are in the table below."
    bars = [
        charts.Line("work", "within", [n if seconds <= most * (1 + 2 * ERROR) else 0 for seconds, n in steps]),
        charts.Line("warn", "beyond", [0 if seconds <= most * (1 + 2 * ERROR) else n for seconds, n in steps]),
    ]
    return charts.stacked(bars, ends, label)


@register.filter
def longest_of(recent: Recent, per_cent: int) -> str:
    """The run time within which so many per cent of them stayed."""
    return charts.seconds(recent.longest_of(per_cent / 100))


@register.simple_tag
def distribution(spread: series.Spread) -> SafeString:
    """How many jobs ran how long, as bars, from the first step that has any to the last."""
    steps = spread.steps
    some = [n for n, (_, count) in enumerate(steps) if count]
    if not some:
        return format_html("{}", "")
    steps = steps[max(0, some[0] - 1) : some[-1] + 2]
    ends = (
        f"up to {charts.seconds(steps[0][0])}",
        "longer" if steps[-1][0] is None else f"up to {charts.seconds(steps[-1][0])}",
    )
    label = "How many jobs ran how long on the last day. The figures are in the table below."
    return charts.stacked([charts.Line("work", "jobs", [count for _, count in steps])], ends, label, wide=320)
