"""The OpenAPI document makes usable clients: names, words, examples and errors of every call."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from jobs.api.docs_page import every_error
from jobs.api.document.words import TAGS
from jobsite.lib import errors
from jobsite.urls import api

DOCUMENT = api.get_openapi_schema()
CALLS = {call["operationId"]: call for methods in DOCUMENT["paths"].values() for call in methods.values()}
PROBLEM = "application/problem+json"
#: Errors that no call of the document ends with: it is not called so, or nothing in the API does it.
OF_NO_CALL = {"method_not_allowed", "not_acceptable"}


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to; anything else as it is."""
    found: Any = part
    while "$ref" in found:
        _, *steps = found["$ref"].split("/")
        found = DOCUMENT
        for step in steps:
            found = found[step]
    return dict(found)


def contents(call: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The contents of its body and answers, each with where it is."""
    for kind, content in call.get("requestBody", {}).get("content", {}).items():
        yield f"body as {kind}", content
    for status, answer in call["responses"].items():
        for kind, content in resolved(answer).get("content", {}).items():
            yield f"{status} as {kind}", content


def codes(call: dict[str, Any]) -> dict[str, int]:
    """The codes of its errors, with their statuses."""
    return {
        code: example["value"]["status"]
        for answer in call["responses"].values()
        for code, example in resolved(answer).get("content", {}).get(PROBLEM, {}).get("examples", {}).items()
    }


def test_names_of_calls_are_names_and_no_two_are_the_same() -> None:
    assert len(CALLS) == sum(len(methods) for methods in DOCUMENT["paths"].values())
    assert [name for name in CALLS if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", name)] == []
    assert {"claim", "exchange", "hello", "goodbye", "completeJob", "enqueueJob", "registerBot"} <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_says_what_it_does(name: str) -> None:
    """The first sentence of its docstring is its summary: a verb and what it is done to."""
    call = CALLS[name]
    assert re.fullmatch(r"[A-Z][a-z]+ .{,70}[^.]", call["summary"])
    assert call["description"].startswith(call["summary"])
    assert set(call["tags"]) <= set(TAGS), "jobs/api/document/words.py says what each tag is for"
    assert call["security"]
    assert [given["name"] for given in call["parameters"] if not given.get("description")] == []


@pytest.mark.parametrize("name", CALLS)
def test_a_call_has_examples_that_are_of_their_schemas(name: str) -> None:
    for where, content in contents(CALLS[name]):
        schema = {**content["schema"], "components": DOCUMENT["components"]}
        checked = jsonschema_rs.validator_for(schema, validate_formats=True)
        values = [content["example"]] if "example" in content else [e["value"] for e in content["examples"].values()]
        assert values, where
        for value in values:
            assert [error.message for error in checked.iter_errors(value)] == [], where


@pytest.mark.parametrize("name", CALLS)
def test_a_call_names_its_errors_each_with_its_code(name: str) -> None:
    statuses = {error.code: error.status for error in every_error()}
    listed = codes(CALLS[name])
    assert listed.items() <= statuses.items()
    assert {"unauthorized", "forbidden", "invalid", "too_many_requests", "unavailable"} <= set(listed)
    answers = {int(status): resolved(answer) for status, answer in CALLS[name]["responses"].items()}
    refusals = {status: answer for status, answer in answers.items() if status >= 400}
    assert all(list(answer["content"]) == [PROBLEM] for answer in refusals.values())
    assert all("Retry-After" in refusals[status]["headers"] for status in (429, 503))
    assert set(refusals) == set(listed.values())


def test_every_error_is_one_of_a_call() -> None:
    listed = {code for call in CALLS.values() for code in codes(call)}
    assert {error.code for error in every_error()} - listed <= OF_NO_CALL


def test_an_error_has_the_members_that_its_class_names() -> None:
    schema = DOCUMENT["components"]["schemas"]["LeaseLostProblem"]
    assert {"ended_by", "ended_at", "reason", "verb", "job_id", "attempt", "cancel"} <= set(schema["required"])
    assert schema["properties"]["code"]["const"] == "lease_lost"
    assert "errors" in DOCUMENT["components"]["schemas"][f"{errors.Invalid.__name__}Problem"]["required"]
