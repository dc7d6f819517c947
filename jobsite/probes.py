"""Answer the probes: is the process alive, and can it do its work."""

import json
from collections.abc import Callable
from functools import cache

import structlog
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from alerts.delivery import held
from alerts.incidents import sweep_late
from jobsite.lib.problems import not_allowed
from jobsite.lib.version import VERSION
from jobsite.metrics import metrics

log = structlog.stdlib.get_logger(__name__)

Name = tuple[str, str]


@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Return 200 while the process answers at all. A database that is down is no reason to restart it."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 when the database answers and has every migration of this code; otherwise 503 with the reason.

    A late sweep, and alerts that are held back, are reported in further lines: the web servers work, and a load
    balancer that removed them would make it worse. A monitor asks `?strict=1` and gets 503 for these, too.
    """
    try:
        missing = unapplied()
        sweep = None if missing else sweep_late.status()
        all_held = None if missing else held.held()
    except (DatabaseError, InterfaceError) as error:
        # Only the log gets the driver's message: it names hosts and users, and a probe is open to everyone.
        log.warning(f"not ready: the database cannot be reached: {error}")
        return _not_ready("database_unreachable", "The database cannot be reached.")
    if missing:
        names = ", ".join(f"{app}.{name}" for app, name in missing)
        return _not_ready("migrations_unapplied", f"Unapplied migrations: {names}. Run `manage.py migrate`.")
    # In the order of urgency: the first is the code of a strict answer.
    problems = {"sweep_late": f"sweep late: {sweep}"} if sweep and sweep.overdue else {}
    problems |= {"alerts_held": f"alerts {all_held}"} if all_held else {}
    if problems and request.GET.get("strict") == "1":
        detail = "; ".join(problems.values())
        return _not_ready(next(iter(problems)), detail[:1].upper() + detail[1:] + ".")
    return HttpResponse("\n".join(["ok", *problems.values()]), content_type="text/plain")


PATHS = {"/livez": livez, "/readyz": readyz, "/metrics": metrics}


class ProbesMiddleware:
    """Answer probes and Prometheus before the Host is checked: they call by address, not by an allowed name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PATHS.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        response = probe(request)
        response["Jobsite-Version"] = VERSION
        return not_allowed(request, response) if response.status_code == 405 else response


def unapplied() -> list[Name]:
    """Return the migrations of this code that the database does not have, by app and name."""
    applied = MigrationRecorder(connection).applied_migrations()
    return [
        name for name, replaces in _on_disk() if name not in applied and not (replaces and replaces <= set(applied))
    ]


@cache
def _on_disk() -> list[tuple[Name, frozenset[Name]]]:
    """Return this code's migrations and what each replaces. They do not change while the process runs."""
    loader = MigrationLoader(None)
    return sorted(
        (name, frozenset((app, old) for app, old in m.replaces)) for name, m in loader.disk_migrations.items()
    )


def _not_ready(code: str, detail: str) -> HttpResponse:
    body = {"type": "about:blank", "title": "Not ready", "status": 503, "detail": detail, "code": code}
    response = HttpResponse(json.dumps(body), status=503, content_type="application/problem+json")
    response["Retry-After"] = "1"
    return response
