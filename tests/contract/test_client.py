"""The Python library has a method for each call, with each field that the API has, and reads what is answered."""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest

from jobs.api.document.examples import RECORDED
from jobsite.urls import api
from jobsite_client import Client
from jobsite_client.answers import JobIn
from jobsite_client.messages import Completed, Failed, Heartbeat, Released, Slots
from jobsite_client.method import call, listing
from jobsite_client.request import Reply, Request
from tests.contract import client_answers

DOCUMENT = api.get_openapi_schema()
OPERATIONS = {
    (method.upper(), path.removeprefix("/api/v1/")): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
MOMENT = datetime(2030, 1, 2, tzinfo=UTC)
#: What each parameter of a method is given.
VALUES: dict[str, Any] = {
    "job_id": 17, "bot_id": 1, "incident_id": 3, "name": "nightly", "attempt": 1, "ids": [17], "seconds": 5,
    "jobs": [JobIn(kind="sum")], "payload": {"n": 1}, "cursor": "7",
    "completed": [Completed(17, 1, 3)], "failed": [Failed(18, 1, "no", retry_in=1)], "slots": Slots(3, 2, 1),
    "released": [Released(19, 1, 1, "r")], "heartbeats": [Heartbeat(20, 1, 4, "n")], "holds": [(17, 1)],
    "status": "failed", "health": "normal", "verb": "create", "via": "api", "fate": "missed", "unique": "pending",
    "on_conflict": "replace", "overlap": "skip", "catch_up": "last", "kinds": ["sum"],
    "since": MOMENT, "until": MOMENT, "run_at": MOMENT, "start_by": MOMENT, "starts_at": MOMENT, "ends_at": MOMENT,
    "group_id": 1, "entry_id": 41, "most": 5, "q": "cust-17",
    "created_before": MOMENT, "finished_before": MOMENT, "result": 3, "progress": 4,
}  # fmt: skip
BY_TYPE: dict[str, Any] = {"str": "text", "int": 5, "float": 5, "bool": True}
#: Members of answers that are free in form: what is in them stays as it came.
FREE = {"before", "after", "figures", "detail", "payload", "result"}
CALLS = [name for base in Client.__mro__ for name, member in vars(base).items() if isinstance(member, call | listing)]


class Sent(Exception):
    """The request that a method describes."""


class Recorder(Client):
    """Sends nothing."""

    def send(self, request: Request[Any]) -> Any:
        raise Sent(request)


def request_of(client: Client, name: str) -> Request[Any]:
    """The request of this method with all its parameters given."""
    method: Callable[..., Any] = getattr(client, name)
    given = {}
    for parameter in inspect.signature(method).parameters.values():
        kind = str(parameter.annotation).partition(" ")[0].removeprefix("<class '").removesuffix("'>")
        kind = getattr(parameter.annotation, "__name__", kind)
        given[parameter.name] = VALUES[parameter.name] if parameter.name in VALUES else BY_TYPE[kind]
    with pytest.raises(Sent) as sent:
        for _ in method(**given):
            pass
    request: Request[Any] = sent.value.args[0]
    return request


with Recorder("http://127.0.0.1", "token", instance="a") as recorder:
    REQUESTS = {name: request_of(recorder, name) for name in CALLS}


def is_of(request: Request[Any], method: str, path: str) -> bool:
    """Whether this is the operation that the request is for."""
    parts = request.path.split("/")
    pattern = path.split("/")
    same = [theirs == ours or theirs.startswith("{") for theirs, ours in zip(pattern, parts, strict=False)]
    exact = (request.method, request.path) in OPERATIONS
    return request.method == method and len(parts) == len(pattern) and all(same) and not (exact and "{" in path)


def body_fields(operation: dict[str, Any]) -> set[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return set(_resolved(content["schema"])["properties"]) if content else set()


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=" ".join)
def test_each_call_has_a_method_with_all_its_fields(method: str, path: str) -> None:
    operation = OPERATIONS[method, path]
    requests = [request for request in REQUESTS.values() if is_of(request, method, path)]
    assert requests, f"{operation['operationId']}: write it in client/jobsite_client/calls/"
    sent = {name for request in requests for name in (request.body or {})}  # type: ignore[attr-defined]
    assert body_fields(operation) - sent == set()
    asked = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    # How many lines there are says the end of the compressed body.
    assert asked - {name for request in requests for name in request.params} <= {"count"}


@pytest.mark.parametrize("name", CALLS)
def test_a_method_sends_what_the_document_allows(name: str) -> None:
    request = REQUESTS[name]
    (operation,) = [one for (method, path), one in OPERATIONS.items() if is_of(request, method, path)]
    asked = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    assert set(request.params) <= asked
    if request.body is not None:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        checked = jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]}, validate_formats=True)
        body = json.loads(request.content() or b"")
        assert [error.message for error in checked.iter_errors(body)] == []


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from texts_in(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from () if name in FREE else texts_in(one)


@pytest.mark.parametrize("name", CALLS)
def test_a_recorded_answer_is_read_and_has_no_moment_as_text(name: str) -> None:
    request = REQUESTS[name]
    (operation,) = [one for (method, path), one in OPERATIONS.items() if is_of(request, method, path)]
    for answers in RECORDED[operation["operationId"]].values():
        for answer in answers:
            read = request.read(Reply(json.loads(json.dumps(answer)), None))
            assert [text for text in texts_in(read) if re.match(r"\d{4}-\d\d-\d\dT", text)] == []


@pytest.mark.parametrize("name", client_answers.Answers(DOCUMENT).files())
def test_the_types_of_answers_are_those_of_the_document(name: str) -> None:
    """A change that is meant: `python -m tests.contract.surface`."""
    files = client_answers.Answers(DOCUMENT).files()
    assert {path.name for path in client_answers.FOLDER.glob("*.py")} == set(files)
    assert (client_answers.FOLDER / name).read_text(encoding="utf-8") == files[name]
