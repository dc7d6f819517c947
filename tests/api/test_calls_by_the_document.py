"""Whatever the OpenAPI document allows, and what it does not, is answered as the document says (Schemathesis)."""

import json
from typing import Any

import pytest
import schemathesis
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests import Request
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.transport import Response

from jobsite.urls import api
from tests import lasting
from tests.api import places as of_calls
from tests.api.calls import BOT, BY_NAME, PREFIX
from tests.api.places import Places

HOST = "http://testserver"
quick = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
# Schemathesis takes `prefixItems` for what `items` was before JSON Schema 2020-12. Without them a pair is a list.
PLAIN = json.dumps(api.get_openapi_schema()).replace('"prefixItems"', '"x-pair"')
DOCUMENT = schemathesis.openapi.from_dict(json.loads(PLAIN))
OPERATIONS = {found.ok().label.replace(PREFIX, ""): found.ok() for found in DOCUMENT.get_all_operations()}
load_all_checks()
# Not that what is not allowed is refused: an address cannot say all that a schema can. `?kind=false` is a list there.
CONFORMS = CHECKS.get_by_names([
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance",
])  # fmt: skip

lasting_rows, ada, olga, olga_key, places = (
    lasting.lasting_rows,
    lasting.ada,
    lasting.olga,
    lasting.olga_key,
    of_calls.places,
)


def without_wait(value: Any) -> Any:
    """A call that may wait for jobs would wait."""
    if isinstance(value, dict):
        return {name: without_wait(inner) for name, inner in value.items() if name != "wait"}
    return value


def answered(client: Client, case: Any, token: str) -> Response:
    """Make this call through the entry of the site."""
    parts = case.as_transport_kwargs(HOST, {"Authorization": f"Bearer {token}"})
    names = ("method", "url", "headers", "params", "data", "json", "cookies")
    sent = Request(**{name: parts[name] for name in names if name in parts}).prepare()
    texts = {name: value if isinstance(value, str) else value.decode("latin-1") for name, value in sent.headers.items()}
    content_type = texts.get("Content-Type", "")
    answer = client.generic(sent.method, sent.path_url, sent.body or b"", content_type, headers=texts)
    shown = {name.lower(): [value] for name, value in answer.items()}
    return Response(answer.status_code, shown, b"".join(answer), sent, elapsed=0.0, verify=False)


@pytest.mark.parametrize("label", OPERATIONS)
def test_a_call_is_answered_as_the_document_says(
    client: Client, places: Places, ada_token: str, olga_key: str, label: str
) -> None:
    operation, call = OPERATIONS[label], BY_NAME[label]
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))
    statuses = set[int]()

    @quick
    @given(case=cases, about_a_row=st.booleans(), by_bot=st.booleans())
    def check(case: Any, about_a_row: bool, by_bot: bool) -> None:
        bot = call.for_bots and (by_bot or not call.needs)
        case.body = without_wait(case.body)
        if about_a_row:
            case.path_parameters = places[call.about]
            known = call.body_of(BOT if bot else "") or {}
            if isinstance(case.body, dict):
                case.body |= {name: known[name] for name in ("attempt", "kind") if name in known}
        with transaction.atomic():
            response = answered(client, case, ada_token if bot else olga_key)
            transaction.set_rollback(True)
        case.validate_response(response, checks=CONFORMS)
        statuses.add(response.status_code)

    check()
    # Each call was carried out, too, and not only refused.
    assert statuses & {200, 201}
