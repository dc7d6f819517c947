"""Template tags and filters of the admin: navigation, Home, charts, and formats of states and numbers."""

import json
from typing import Any

from django import template
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bots import audit
from bots.login.models import Login
from jobs import transitions
from jobs.explain import policy
from jobs.fingerprints import last_line
from jobs.lists import drawn
from jobs.lists import home as lists_home
from jobs.models import Job, JobKind
from jobs.stats import counts, series
from jobs.stats.learned import Recent
from jobs.stats.recent import BAR, Recently
from jobsite.lib import badges, charts, json_view
from jobsite.lib.durations import words

register = template.Library()

#: From so many times as long as a week ago on a run time is shown as slower.
SLOWER = 1.5

badge = register.filter("badge", badges.badge)
age = register.filter("age", badges.age)
local = register.filter("local", badges.local)
seconds = register.filter("seconds", charts.seconds)
duration = register.filter("duration", words)
fold = register.filter("fold", json_view.fold)
register.filter("last_line", last_line)
values = register.filter("values", audit.words)


@register.filter
def family(state: str) -> str:
    """The CSS class for a state's colour and icon."""
    return badges.FAMILIES.get(state, "wait")


@register.filter
def word(state: str) -> str:
    """A state with spaces for underscores."""
    return state.replace("_", " ")


@register.filter
def split_name(name: str) -> SafeString:
    """A name in two parts: where there is little room its beginning is cut short, and its last letters are not."""
    at = max(0, len(name) - 6)
    return format_html('<span class="start">{}</span><span class="end">{}</span>', name[:at], name[at:])


@register.filter
def per_cent(share: float | None) -> str:
    """Format a share as `0.4 %`; a dash for None."""
    return "–" if share is None else f"{share * 100:.1f} %"


#: The links at the top of every page: `(name, view, permission)`.
PLACES = (
    ("Home", "admin:index", None),
    ("Incidents", "admin:alerts_incident_changelist", "alerts.view_incident"),
    ("Jobs", "admin:jobs_job_changelist", "jobs.view_job"),
    ("Bots", "admin:bots_bot_changelist", "bots.view_bot"),
    ("Kinds", "admin:jobs_jobkind_changelist", "jobs.view_jobkind"),
    ("Schedules", "admin:jobs_schedule_changelist", "jobs.view_schedule"),
    ("History", "admin:jobs_jobevent_changelist", "jobs.view_jobevent"),
    ("Channels", "admin:alerts_channel_changelist", "alerts.view_channel"),
    ("Audit log", "admin:bots_auditentry_changelist", "bots.view_auditentry"),
    ("API keys", "admin:bots_apikey_changelist", "bots.view_apikey"),
    ("Users", "admin:auth_user_changelist", "auth.view_user"),
)


@register.simple_tag
def places(request: HttpRequest) -> list[dict[str, Any]]:
    """The links that this user may use, with the present page marked."""
    links = []
    for name, view, permission in PLACES:
        if permission and not request.user.has_perm(permission):
            continue
        try:
            url = reverse(view)
        except NoReverseMatch:
            continue
        here = request.path == url if name == "Home" else request.path.startswith(url)
        links.append({"name": name, "url": url, "here": here})
    return links


@register.simple_tag
def home(request: HttpRequest) -> dict[str, Any]:
    """The data of Home, for users who may see jobs and bots."""
    user = request.user
    if not (user.has_perm("jobs.view_job") and user.has_perm("bots.view_bot")):
        return {"allowed": False}
    window = request.GET.get("span", "hour")
    window = window if window in series.WINDOWS else "hour"
    statuses, releases = counts.by_status()
    return {
        "allowed": True,
        "needs": lists_home.needs_now(),
        "shut": lists_home.shut_gates(),
        "may_release": user.has_perm("jobs.release_job"),
        "fleet": lists_home.fleet(),
        "statuses": statuses,
        "releases": releases,
        "oldest": counts.oldest_pending()[:12],
        "recent": lists_home.interventions(),
        "now": timezone.now(),
    } | drawn.throughput(window)


@register.simple_tag
def updated_now() -> SafeString:
    """The age of this moment, which is when the page was read."""
    return badges.age(timezone.now())


@register.simple_tag
def last_logins(username: str) -> list[Login]:
    """The last ten attempts to log in under this name."""
    return list(Login.objects.filter(username=username)[:10])


@register.simple_tag
def kinds() -> list[str]:
    """The names of the first two hundred kinds, for a menu."""
    return list(JobKind.objects.values_list("name", flat=True)[:200])


#: Texts are shown whole up to so many characters, and JSON is open up to so many.
MOST_SHOWN, LARGE_JSON = 500, 3000


@register.filter
def both_ends(text: str) -> str:
    """Shorten a text in its middle: the end of an error says what went wrong. Of several lines the first and last."""
    lines = text.strip().splitlines()
    if len(lines) > 2:
        text = f"{lines[0]} … {lines[-1].strip()}"
    if len(text) <= MOST_SHOWN:
        return text
    return f"{text[: MOST_SHOWN // 3].rstrip()} … {text[-MOST_SHOWN * 2 // 3 :].lstrip()}"


@register.filter
def cut_lines(error: str) -> bool:
    """Whether an error has more than its last line."""
    return error.strip() != last_line(error)


@register.filter
def is_large(value: Any) -> int:
    """How many characters of JSON it is; 0 where that is not much."""
    size = len(json.dumps(value, ensure_ascii=False))
    return size if size > LARGE_JSON else 0


@register.filter
def query(given: str, parameter: str) -> str:
    """Append a parameter to a query string."""
    return f"?{given}&{parameter}" if given else f"?{parameter}"


@register.filter
def quoted(pk: str) -> str:
    """Quote a primary key for the admin's URLs."""
    return str(quote(pk))


@register.filter
def verb_class(verb: str) -> str:
    """The CSS class of a verb in a timeline."""
    return transitions.rows(verb)[0].look


@register.filter
def named(texts: dict[int, str], number: int) -> str:
    """The text of this number, if there is one."""
    return texts.get(number, "")


@register.filter
def limits_short(kind: JobKind) -> str:
    """The limits of a kind, for a list. Empty: none."""
    return policy.limits_short(kind)


@register.filter
def slower(now: float, before: float | None) -> bool:
    """Whether a time is more than half as long again as before."""
    return before is not None and now > SLOWER * before


@register.filter
def sparkline(recently: Recently) -> SafeString:
    """How many jobs ended in the last hour, as small bars."""
    return charts.spark(recently.bars, f"Ended in the last hour: {sum(recently.bars)}, in bars of {BAR} minutes.")


@register.filter
def ran(job: Job) -> float | None:
    """A job's run time in seconds."""
    if job.started_at is None or job.finished_at is None:
        return None
    return (job.finished_at - job.started_at).total_seconds()


@register.simple_tag
def kind_charts(kind: str, window: str) -> dict[str, Any]:
    """The charts of one kind."""
    return drawn.throughput(window, kind)


@register.simple_tag
def percentiles(kind: str, window: str) -> dict[str, Any]:
    """Run and wait times of a kind over the last day or week."""
    return drawn.percentiles(kind, window)


@register.simple_tag
def came_due(kind: str) -> dict[str, Any]:
    """The due jobs of a kind by the hour in which they became due."""
    return drawn.came_due(kind)


@register.filter
def longest_of(recent: Recent, per_cent: int) -> str:
    """The run time that so many per cent of them stayed within."""
    return charts.seconds(recent.longest_of(per_cent / 100))


register.simple_tag(drawn.learned_distribution)
