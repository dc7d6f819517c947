"""Export `/metrics` for Prometheus: jobs, bots and the sweep from the database, and requests from the processes.

The first part is the same on every server. The second covers the processes that share one directory
(`PROMETHEUS_MULTIPROC_DIR`, which `make serve` sets up), or the answering process alone where there is none.
"""

import glob
import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from psycopg_pool import PoolTimeout

from alerts import metrics as of_alerts
from bots import auth, tokens
from bots.acts import READ
from bots.models import ApiKey
from jobs.schedules import metrics as of_schedules
from jobs.stats import metrics as of_jobs
from jobs.turns import waiting
from jobsite.lib.addresses import client_address
from jobsite.lib.errors import Unauthorized

log = structlog.stdlib.get_logger(__name__)

#: Collectors that read the database: each is called once a scrape, in one transaction, and yields families.
COLLECTORS: list[Callable[[], Iterable[Metric]]] = [of_jobs.collect, of_schedules.collect, of_alerts.collect]
#: No statement of a scrape takes longer; Prometheus gives up after 10 s.
STATEMENT_TIMEOUT = "5s"
#: Seconds between two samples of waiting calls and the pool.
SAMPLE_EVERY = 5.0
#: Histogram buckets of request durations, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

if settings.METRICS_DIR:
    Path(settings.METRICS_DIR).mkdir(parents=True, exist_ok=True)

# With several processes nobody knows when a series began, so one process does not export it either.
disable_created_metrics()
_registry = CollectorRegistry()
_durations = Histogram(
    "jobsite_http_request_duration_seconds",
    "How long requests took, without the time in which a claim waited for jobs on purpose.",
    ["method", "route", "status"],
    buckets=BUCKETS,
    registry=_registry,
)
_waiters = Gauge(
    "jobsite_waiters", "Calls that are held open for a job.", multiprocess_mode="livesum", registry=_registry
)
_waiters_limit = Gauge("jobsite_waiters_limit", "How many may be.", multiprocess_mode="livesum", registry=_registry)
_sockets = Gauge(
    "jobsite_open_sockets", "Connections of clients, and a few of the server's own.", multiprocess_mode="livesum",
    registry=_registry,
)  # fmt: skip
_pool = Gauge(
    "jobsite_database_pool_connections", "Connections of the pools.", ["state"],
    multiprocess_mode="livesum", registry=_registry,
)  # fmt: skip
_pool_limit = Gauge(
    "jobsite_database_pool_limit", "How many there may be.", multiprocess_mode="livesum", registry=_registry
)
_pool_waiting = Gauge(
    "jobsite_database_pool_waiting", "Requests that wait for one.", multiprocess_mode="livesum", registry=_registry
)
#: Children by their labels. `labels` checks its arguments at each call; this does not.
_children: dict[tuple[str, str, int], Histogram] = {}


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count an answered request. `method` and `route` must be of a bounded number."""
    key = (method, route, status)
    child = _children.get(key)
    if child is None:
        child = _children[key] = _durations.labels(method, route, str(status))
    child.observe(seconds)


def sample() -> None:
    """Set the gauges of this process: waiting calls, connections and the pool."""
    _waiters.set(len(waiting.waiters))
    _waiters_limit.set(settings.MAX_WAITERS)
    _sockets.set(_open_sockets())
    pool = connection.pool  # type: ignore[attr-defined]  # of Django's PostgreSQL backend
    stats = pool.get_stats()
    idle = stats.get("pool_available", 0)
    _pool.labels("idle").set(idle)
    _pool.labels("used").set(stats.get("pool_size", 0) - idle)
    _pool_limit.set(stats.get("pool_max", 0))
    _pool_waiting.set(pool.places.waiting + stats.get("requests_waiting", 0))


def _open_sockets() -> int:
    """How many sockets the process has open, where the system says so (Linux)."""
    sockets = 0
    for path in glob.glob("/proc/self/fd/*"):
        # Closed since.
        with suppress(OSError):
            sockets += os.readlink(path).startswith("socket:")
    return sockets


def sample_for_ever() -> None:
    """Call `sample` every few seconds, so that processes that no scrape reaches are exported, too. For the server."""

    def loop() -> None:
        pause = threading.Event()
        while True:
            try:
                sample()
            except Exception:
                log.exception("cannot sample this process")
            pause.wait(SAMPLE_EVERY)

    threading.Thread(target=loop, name="jobsite-sampler", daemon=True).start()


class _Everything(Collector):
    """Collect the database's families first, then the processes'."""

    def collect(self) -> Iterator[Metric]:
        families = _from_database()
        yield GaugeMetricFamily(
            "jobsite_database_up", "Whether the database answered: 1 or 0.", value=float(families is not None)
        )
        yield from families or ()
        sample()
        yield from _of_processes()


def _from_database() -> list[Metric] | None:
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [STATEMENT_TIMEOUT])
            return [family for collect in COLLECTORS for family in collect()]
    except (DatabaseError, InterfaceError, PoolTimeout) as error:
        log.warning(f"metrics without the database: {error}")
        return None


def _of_processes() -> Iterable[Metric]:
    if not settings.METRICS_DIR:
        return _registry.collect()
    for path in glob.glob(os.path.join(settings.METRICS_DIR, "gauge_live*.db")):
        pid = int(Path(path).stem.rpartition("_")[2])
        if not _is_alive(pid):
            mark_process_dead(pid, settings.METRICS_DIR)
    families: Iterable[Metric] = MultiProcessCollector(None, settings.METRICS_DIR).collect()
    return families


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def may_read(request: HttpRequest) -> bool:
    """Say whether this caller may read metrics: anyone, the token's bearer, or a key whose user may view jobs."""
    if settings.METRICS_OPEN:
        return True
    token = auth.bearer(request.META.get("HTTP_AUTHORIZATION", ""))
    if not token:
        return False
    # Digests, so that neither the time nor the length says how near a guess was.
    if settings.METRICS_TOKEN and hmac.compare_digest(_digest(token), _digest(settings.METRICS_TOKEN)):
        return True
    if not token.startswith(tokens.KEY_PREFIX):
        return False
    try:
        key = auth.recognise(token, client_address(request.META))
    except (DatabaseError, InterfaceError, PoolTimeout, Unauthorized):
        return False
    if not isinstance(key, ApiKey) or key.user is None or key.beyond_scope(READ, None):
        return False
    return key.user.has_perm("jobs.view_job")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format or as OpenMetrics; 401 for a caller without permission."""
    if not may_read(request):
        detail = (
            "Send `Authorization: Bearer …` with METRICS_TOKEN, or with a key whose user has the permission "
            "jobs.view_job. METRICS_OPEN=1 lets everybody read."
        )
        body = {"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": detail, "code": "unauthorized"}
        refusal = HttpResponse(json.dumps(body), status=401, content_type="application/problem+json")
        refusal["WWW-Authenticate"] = 'Bearer realm="jobsite metrics"'
        return refusal
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(_Everything()), content_type=content_type)
