"""Examples of bodies and answers: answers as they were recorded, and what their schemas make of the others. Pure.

A model's own example comes first, then that of a field, then that of the field's name, then one of its type. A body
has the members that are required, and those whose fields have an example.
"""

import json
from pathlib import Path
from typing import Any

#: What each call answers to the example of its body, by its name and status; `python -m tests.contract.surface`
#: writes it.
RECORDED: dict[str, dict[str, list[Any]]] = json.loads(
    Path(__file__).with_name("answers.json").read_text(encoding="utf-8")
)
#: A moment as every answer has it.
MOMENT = "2026-11-05T09:00:00.000000Z"
#: Values of fields by their names: of what no model gives an example.
VALUES: dict[str, Any] = {
    "attempt": 1,
    "ended_at": "2026-11-05T09:04:10.108889Z",
    "ended_by": "operator olga",
    "field": "kind",
    "id": 17,
    "incident_id": 3,
    "instance": "host7-4711-a1b2",
    "job_id": 17,
    "job_status": "succeeded",
    "kind": "sum",
    "max_pending": 1000,
    "message": "Input should be a valid string",
    "name": "ada",
    "new": 2,
    "pending": 999,
    "reason": "ada hangs",
    "verb": "release",
}


def put_into(document: dict[str, Any]) -> None:
    """Give every body and every answer of the document an example."""
    schemas = document["components"]["schemas"]
    answers = document["components"]["responses"].values()
    calls = [call for methods in document["paths"].values() for call in methods.values()]
    for call in calls:
        for content in call.get("requestBody", {}).get("content", {}).values():
            _add(content, schemas, [], complete=False)
        for status, answer in call["responses"].items():
            known = RECORDED.get(call["operationId"], {}).get(status, [])
            for content in answer.get("content", {}).values():
                _add(content, schemas, known, complete=True)
    for answer in answers:
        for content in answer["content"].values():
            for code, named in content["examples"].items():
                schema = _of_code(content["schema"], code)
                named["value"] = _object(schemas[schema], schemas, complete=False) | named["value"]


def _of_code(schema: dict[str, Any], code: str) -> str:
    reference = schema.get("$ref") or schema["discriminator"]["mapping"][code]
    return _name(reference)


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _add(content: dict[str, Any], schemas: dict[str, Any], known: list[Any], *, complete: bool) -> None:
    if "example" in content or "examples" in content:
        return
    schema = content["schema"]
    if not known and "$ref" in schema:
        known = schemas[_name(schema["$ref"])].get("examples", [])
    if len(known) > 1:
        content["examples"] = {f"example{n}": {"value": value} for n, value in enumerate(known, 1)}
    else:
        content["example"] = known[0] if known else example_of(schema, schemas, complete=complete)


def example_of(schema: dict[str, Any], schemas: dict[str, Any], name: str = "", *, complete: bool = True) -> Any:
    """A value of this schema. `complete`: with the members that may be left out."""
    if "$ref" in schema and "default" not in schema:
        return example_of(schemas[_name(schema["$ref"])], schemas, name, complete=complete)
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("const", "default"):
        if key in schema and (schema[key] is not None or name not in VALUES):
            return schema[key]
    if name in VALUES and _fits(VALUES[name], schema, schemas):
        return VALUES[name]
    if choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return None if {"type": "null"} in choices else example_of(choices[0], schemas, name, complete=complete)
    if "enum" in schema:
        return schema["enum"][0]
    return _of_type(schema, schemas, name, complete=complete)


def _of_type(schema: dict[str, Any], schemas: dict[str, Any], name: str, *, complete: bool) -> Any:
    match schema.get("type"):
        case "object":
            return _object(schema, schemas, complete=complete)
        case "array":
            if "prefixItems" in schema:
                return [example_of(item, schemas, complete=complete) for item in schema["prefixItems"]]
            return [example_of(schema["items"], schemas, names_one_of(name), complete=complete)]
        case "string" if schema.get("format") == "date-time":
            return MOMENT
        case "string":
            return "x" * schema.get("minLength", 0)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
    return {}


def names_one_of(name: str) -> str:
    """The name of one of several: `kind` for `kinds`, `id` for `ids`."""
    return name.removesuffix("s")


def _object(schema: dict[str, Any], schemas: dict[str, Any], *, complete: bool) -> dict[str, Any]:
    required = schema.get("required", [])
    return {
        name: example_of(field, schemas, name, complete=complete)
        for name, field in schema.get("properties", {}).items()
        if complete or name in required or field.get("examples")
    }


def _fits(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether a value is of this schema's type, as far as these values differ."""
    if "$ref" in schema:
        return _fits(value, schemas[_name(schema["$ref"])], schemas)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return any(_fits(value, choice, schemas) for choice in choices)
    if "enum" in schema:
        return value in schema["enum"]
    types = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}
    return isinstance(value, types.get(schema.get("type", ""), object))
