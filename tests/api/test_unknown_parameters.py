"""A parameter that a call does not know is refused by its name, on every call, and nothing is done."""

from django.test import Client

from jobs.api.v1 import api
from jobsite.urls import urlpatterns
from tests.api.calls import BOT, CALLS, PREFIX, Call, refused, rows, send


def url(call: Call, places: dict[bool, dict[str, int]], query: str) -> str:
    return call.path.format(**places[call.about]) + query


def test_every_route_is_among_the_calls() -> None:
    assert urlpatterns
    routes = {
        f"{method} /{path}".replace("//", "/")
        for prefix, router in api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
        for path in [path.lstrip("/")]
    }
    assert routes == {str(call) for call in CALLS}


def test_a_parameter_that_nobody_knows_is_refused_on_every_call(
    client: Client, places: dict[bool, dict[str, int]], ada_token: str, olga_key: str
) -> None:
    before = rows()
    for call in CALLS:
        token = ada_token if call.for_bots else olga_key
        body = call.body_of(BOT if call.for_bots else "")
        for query in ("?surprise=1", "?surprise=", "?surprise", "?%00=1"):
            problem = refused(send(client, token, call.method, url(call, places, query), body), 422, "invalid")
            assert [error["field"] for error in problem["errors"]] == [query[1:].partition("=")[0].replace("%00", "\0")]
    assert rows() == before


def test_who_has_no_token_learns_nothing_of_parameters(client: Client, places: dict[bool, dict[str, int]]) -> None:
    for call in CALLS:
        refused(send(client, None, call.method, url(call, places, "?surprise=1"), call.body), 401, "unauthorized")


def test_the_parameters_of_lists_are_in_the_document(client: Client) -> None:
    paths = client.get(f"{PREFIX}/openapi.json").json()["paths"]
    documented = {parameter["name"] for parameter in paths[f"{PREFIX}/jobs"]["get"]["parameters"]}
    assert documented == {"q", "status", "kind", "key", "group", "bot", "limit", "cursor"}
