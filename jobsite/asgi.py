"""Make the ASGI application that `make serve` runs: `jobsite.asgi:application`."""

import gc
import os
import sys
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobsite.settings")

_django = get_wsgi_application()

from jobs.api import auth, turn  # noqa: E402  after the apps are loaded
from jobs.schedules import thread  # noqa: E402
from jobs.turns import shutdown  # noqa: E402
from jobsite import metrics, probes  # noqa: E402
from jobsite.entry import Entry  # noqa: E402
from jobsite.lib.problems import error_of  # noqa: E402
from jobsite.serving.app import Site, allow_many_connections  # noqa: E402


def _begun(site: Site) -> None:
    """Take part in the server's shutdown. Only now: an event loop sets up its own signals when it starts."""

    def stop() -> None:
        if site.loop is not None:
            site.loop.call_soon_threadsafe(site.stop)

    shutdown.answer_at_shutdown(also=stop)


def _check_token(environ: dict[str, Any]) -> None:
    """Raise for a call without a valid token."""
    try:
        auth.either(turn.Envelope(environ))
    except Exception as error:
        raise error_of(environ["REQUEST_METHOD"], environ["PATH_INFO"], error) from error


application = Site(Entry(_django), frozenset(turn.PATHS), _check_token, frozenset(probes.PATHS), _begun)

# The event loop asks for the interpreter at each answer, and at Python's 5 ms it waits for threads that compute.
sys.setswitchinterval(0.0005)
# What is there now stays: the collector need not look at it again.
gc.collect()
gc.freeze()
allow_many_connections()
metrics.sample_for_ever()
thread.fire_for_ever()
