"""`/api/v1/`, put together."""

import threading
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from ninja.parser import Parser
from ninja.renderers import JSONRenderer
from ninja.responses import NinjaJSONEncoder

from jobs.api import audit, bots, bulk, deletion, error_groups, jobs, leases, limits, scale, schedules, turn
from jobs.api.auth import orders_of
from jobs.api.docs_page import Docs
from jobs.api.document import Document, operation_id
from jobsite.lib import problems
from jobsite.lib.bodies import encoding_of
from jobsite.lib.clock import moment
from jobsite.lib.errors import BadRequest
from jobsite.lib.params import refuses_unknown
from jobsite.lib.strict_json import loads
from jobsite.lib.version import VERSION


class Encoder(NinjaJSONEncoder):
    """JSON with moments in the form that every answer has."""

    def default(self, o: Any) -> Any:
        """What JSON has no form for."""
        return moment(o) if isinstance(o, datetime) else super().default(o)


class Renderer(JSONRenderer):
    """Writes answers."""

    encoder_class = Encoder


class StrictParser(Parser):
    """JSON in UTF-8 only, not compressed, and nothing in it that PostgreSQL could not keep."""

    def parse_body(self, request: HttpRequest) -> Any:
        if encoding_of(request.META):
            raise BadRequest("Content-Encoding: only NDJSON and CSV may be compressed.", field="Content-Encoding")
        return loads(request.body)


class Api(NinjaAPI):
    """Ninja's, with a document of its own, which is built once."""

    def __init__(self, **options: Any) -> None:
        self._documents: dict[str, OpenAPISchema] = {}
        self._building = threading.Lock()
        super().__init__(**options)

    def add_router(self, *args: Any, **options: Any) -> None:
        super().add_router(*args, **options)
        self._documents.clear()

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation_id(operation)

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """The OpenAPI document. It takes up to a second to build, and anybody may ask for it."""
        prefix = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        with self._building:
            if prefix not in self._documents:
                self._documents[prefix] = Document(self, prefix)
            return self._documents[prefix]


api = Api(
    title="Jobsite",
    version=VERSION,
    urls_namespace="api",
    description="Where the jobs live: bots claim, work and report; producers enqueue; operators release.",
    parser=StrictParser(),
    renderer=Renderer(),
    docs=Docs(),
)
problems.register(api, also=orders_of)
api.add_decorator(refuses_unknown)
# Bots' calls first: their paths and the others' do not overlap, except for release, which is shared.
api.add_router("", turn.router)
api.add_router("", leases.router)
api.add_router("", jobs.shared)
api.add_router("", limits.shared)
api.add_router("", bulk.router)
api.add_router("", deletion.router)
api.add_router("", jobs.router)
api.add_router("", error_groups.router)
api.add_router("", scale.router)
api.add_router("", bots.router)
api.add_router("", audit.router)
api.add_router("", schedules.router)
