"""The site's probes: is it alive, and can it serve?"""

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from psycopg_pool import PoolTimeout

from jobs.api.problems import problem
from jobs.errors import Unavailable


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 while this process answers at all. It asks nothing of the database, so that a restart cannot loop on one."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and every migration is applied; else a 503 problem that says what is missing."""
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (Error, PoolTimeout) as error:
        return problem(Unavailable(f"The database cannot be reached: {str(error)[:200]}"))
    if missing:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in missing[:10])
        return problem(Unavailable(f"These migrations are not applied: {names}. Run `python manage.py migrate`."))
    return HttpResponse("ok\n", content_type="text/plain")
