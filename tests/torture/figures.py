"""What `/metrics` and Home show, beside the truth by SQL. For a quiet moment, after a sweep."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from tests.torture.checker import Violation

#: Beyond this Home gives a guess, and says "about".
COUNTED = 5000
#: Beyond this `/metrics` has the sweep's last count of pending jobs.
COUNTED_LIVE = 2000

_QUARANTINED = (
    "EXISTS (SELECT FROM bots_instance i WHERE i.bot_id = b.id AND i.ended_at IS NULL AND i.quarantined_at IS NOT NULL)"
)
_HELD = "e.from_status IN ('claimed', 'processing')"
_EVENT = "SELECT j.kind_id, count(*) FROM jobs_jobevent e JOIN jobs_job j ON j.id = e.job_id WHERE e.at < %s AND "
#: Counters that stand at the last minute that the sweep has closed: the metric, its labels, and how many there are.
_CLOSED: tuple[tuple[str, dict[str, str], str], ...] = (
    ("jobsite_jobs_finished_total", {"status": "succeeded"},
     "SELECT kind_id, count(*) FROM jobs_job WHERE finished_at < %s AND status = 'succeeded' GROUP BY 1"),
    ("jobsite_jobs_finished_total", {"status": "failed"},
     f"{_EVENT} verb IN ('fail', 'expire') AND to_status = 'failed' GROUP BY 1"),
    ("jobsite_jobs_finished_total", {"status": "cancelled"}, f"{_EVENT} verb = 'cancel' GROUP BY 1"),
    ("jobsite_attempts_failed_total", {"source": "bot"}, f"{_EVENT} verb = 'fail' AND actor = 'bot' GROUP BY 1"),
    ("jobsite_attempts_failed_total", {"source": "sweep"}, f"{_EVENT} verb = 'fail' AND actor = 'sweep' GROUP BY 1"),
    ("jobsite_releases_total", {"source": "operator"}, f"{_EVENT} verb = 'release' AND actor = 'operator' GROUP BY 1"),
    ("jobsite_releases_total", {"source": "bot"}, f"{_EVENT} verb = 'release' AND actor = 'bot' GROUP BY 1"),
    ("jobsite_releases_total", {"source": "sweep"}, f"{_EVENT} verb = 'expire' AND to_status = 'pending' GROUP BY 1"),
    ("jobsite_expiries_total", {}, f"{_EVENT} verb = 'expire' AND {_HELD} GROUP BY 1"),
)  # fmt: skip
#: What stands at this moment: the metric, the names of its labels, and how many there are by their values.
_NOW: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("jobsite_jobs", ("kind", "status"),
     "SELECT kind_id, status, count(*) FROM jobs_job WHERE finished_at IS NULL GROUP BY 1, 2"),
    ("jobsite_claims_total", ("kind",), "SELECT kind_id, sum(attempt % 1000000) FROM jobs_job GROUP BY 1"),
    ("jobsite_bots", ("status",), "SELECT status, count(*) FROM bots_bot GROUP BY 1"),
    ("jobsite_bots_health", ("health",), "SELECT health_status, count(*) FROM bots_bot GROUP BY 1"),
    ("jobsite_bots_paused", (), "SELECT count(*) FROM bots_bot WHERE paused"),
    ("jobsite_bots_quarantined", (), f"SELECT count(*) FROM bots_bot b WHERE {_QUARANTINED}"),
    ("jobsite_kind_paused", ("kind",), "SELECT name, paused::int FROM jobs_jobkind"),
    ("jobsite_kind_max_pending", ("kind",), "SELECT name, COALESCE(max_pending, 0) FROM jobs_jobkind"),
    ("jobsite_incidents_open", ("cause", "severity"),
     "SELECT cause, severity, count(*) FROM alerts_incident WHERE resolved_at IS NULL GROUP BY 1, 2"),
    ("jobsite_incidents_unacknowledged", ("cause", "severity"),
     "SELECT cause, severity, count(*) FROM alerts_incident "
     "WHERE resolved_at IS NULL AND acknowledged_at IS NULL GROUP BY 1, 2"),
    ("jobsite_alerts_waiting", (), "SELECT count(*) FROM alerts_delivery WHERE status = 'waiting'"),
    ("jobsite_alerts_held", (), "SELECT count(alerts_held_since) FROM jobsite_site"),
    ("jobsite_epoch", (), "SELECT max(epoch) FROM jobsite_site"),
    ("jobsite_channels_failing", (), "SELECT count(*) FROM alerts_channel WHERE enabled AND failing_since IS NOT NULL"),
)  # fmt: skip

Values = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def metrics(connection: "psycopg.Connection[Any]", text: str) -> Iterator[Violation]:
    """Compare `/metrics` with the rows."""
    shown = values(text)
    for name, labels, query in _NOW:
        truth = {row[:-1]: float(row[-1] or 0) for row in connection.execute(query.encode()).fetchall()}
        for series, value in _differences(shown, name, labels, {}, truth):
            about = name == "jobsite_jobs" and "pending" in series and truth.get(series, 0) > COUNTED_LIVE
            if not about:
                yield Violation("figure not true", f"{name}{series} is {value:g}; by SQL {truth.get(series, 0):g}")
    until = connection.execute("SELECT added_until FROM jobs_rollupstate").fetchone()
    for name, fixed, query in _CLOSED:
        rows = connection.execute(query.encode(), [until and until[0]]).fetchall()
        truth = {row[:-1]: float(row[-1]) for row in rows}
        for series, value in _differences(shown, name, ("kind",), fixed, truth):
            text = f"{name}{fixed}{series} is {value:g}; by SQL {truth.get(series, 0):g} before {until and until[0]}"
            yield Violation("figure not true", text)


def values(text: str) -> Values:
    """The value of each series."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _differences(
    shown: Values, name: str, labels: tuple[str, ...], fixed: dict[str, str], truth: Mapping[tuple[Any, ...], float]
) -> Iterator[tuple[tuple[Any, ...], float]]:
    """The series of a metric, by the values of these labels, that differ from the truth; one that is absent is 0."""
    of_it = {
        tuple(dict(series)[label] for label in labels): value
        for (metric, series), value in shown.items()
        if metric == name and series >= set(fixed.items())
    }
    for series in {*of_it, *truth}:
        if of_it.get(series, 0.0) != truth.get(series, 0.0):
            yield series, of_it.get(series, 0.0)


def home(connection: "psycopg.Connection[Any]", page: str) -> Iterator[Violation]:
    """Compare Home with the rows."""
    truth = dict(connection.execute("SELECT status, count(*) FROM jobs_job GROUP BY 1").fetchall())
    released = connection.execute(
        "SELECT count(*) FROM jobs_jobevent WHERE verb = 'release' AND actor = 'operator' "
        "AND at >= date_trunc('day', statement_timestamp(), 'UTC')"
    ).fetchone()
    shown = dict(re.findall(r'id="status-(\w+)"[^>]*><b>([^<]*)</b>', page))
    pairs = {
        f"jobs that are {status}": (shown.get(status), truth.get(status, 0)) for status in sorted({*shown, *truth})
    }
    pairs["released by operators today"] = (
        _first(r"<b>([^<]*)</b>released by operators", page),
        released and released[0],
    )
    bots = connection.execute(_RANKED.encode()).fetchall()
    legend = {word.strip(): n for n, word in re.findall(r'<span class="badge [^"]*">([\d\s]+) ([^<]+)</span>', page)}
    pairs["bots"] = (_first(r"Fleet: ([\d\s]+) bot", page), sum(n for _, n in bots))
    pairs |= {f"bots that are {word}": (legend.get(word.replace("_", " "), "0"), n) for word, n in bots}
    done = connection.execute(
        "SELECT count(*) FROM jobs_job WHERE status = 'succeeded' "
        "AND finished_at < (SELECT added_until FROM jobs_rollupstate)"
    ).fetchone()
    pairs["succeeded in the chart"] = (_first(r"In the last [^:]*: ([\d\s]+) succeeded", page), done and done[0])
    for what, (figure, number) in pairs.items():
        if not (figure or "").startswith("about") and _number(figure) != number:
            yield Violation("figure not true", f"Home shows {figure} {what}; by SQL {number}")


_RANKED = f"""
    SELECT CASE WHEN health_status = 'unhealthy' THEN 'unhealthy' WHEN {_QUARANTINED} THEN 'quarantined'
                WHEN health_status = 'potentially_stuck' THEN 'potentially_stuck' WHEN status = 'down' THEN 'down'
                WHEN paused THEN 'paused' ELSE status END, count(*)
    FROM bots_bot b GROUP BY 1
"""


def _first(pattern: str, page: str) -> str | None:
    found = re.search(pattern, page)
    return found[1] if found else None


def _number(figure: str | None) -> int | None:
    digits = re.sub(r"\s", "", figure or "")
    return int(digits) if digits.isdigit() else None


class Browser:
    """Logs in to the console, and reads pages."""

    def __init__(self, port: int) -> None:
        self._http = HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: SimpleCookie = SimpleCookie()

    def log_in(self, name: str, password: str) -> None:
        """Log in; RuntimeError when that does not work."""
        page = self.read("/admin/login/")
        token = _first(r'name="csrfmiddlewaretoken" value="([^"]+)"', page) or ""
        form = urlencode({"username": name, "password": password, "csrfmiddlewaretoken": token, "next": "/admin/"})
        status, _ = self._call("POST", "/admin/login/", form, {"Content-Type": "application/x-www-form-urlencoded"})
        if status != 302:
            raise RuntimeError(f"cannot log in to the console: {status}")

    def read(self, path: str, **headers: str) -> str:
        """A page. RuntimeError when it is not 200."""
        status, page = self._call("GET", path, None, headers)
        if status != 200:
            raise RuntimeError(f"{path} is {status}: {page[:300]}")
        return unescape(page)

    def _call(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> tuple[int, str]:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in self._cookies.items())
        self._http.request(method, path, body, {"Cookie": cookies, **headers})
        response = self._http.getresponse()
        for header in response.headers.get_all("Set-Cookie", []):
            self._cookies.load(header)
        return response.status, response.read().decode()
