"""`/api/v1/`, put together."""

from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.parser import Parser

from jobs.api import bots, bulk, jobs, leases, turns
from jobsite.lib import problems
from jobsite.lib.strict_json import loads


class StrictParser(Parser):
    """JSON in UTF-8 only, and nothing in it that PostgreSQL could not keep."""

    def parse_body(self, request: HttpRequest) -> Any:
        return loads(request.body)


api = NinjaAPI(
    title="Jobsite",
    version="1",
    urls_namespace="api",
    description="Where the jobs live: bots claim, work and report; producers enqueue; operators release.",
    parser=StrictParser(),
)
problems.register(api)
# Bots' calls first: their paths and the others' do not overlap, except for release, which is shared.
api.add_router("", turns.router)
api.add_router("", leases.router)
api.add_router("", jobs.shared)
api.add_router("", bulk.router)
api.add_router("", jobs.router)
api.add_router("", bots.router)
