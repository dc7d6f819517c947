"""What the parameters of paths and headers are. Those of a query are declared by `jobsite.lib.params.takes`."""

from typing import Any

from bots.instances import INSTANCE_LENGTH
from bots.models import NAME_LENGTH
from jobs.api.document import names
from jobs.schedules.models import NAME_PATTERN
from jobsite.lib.params import MAX_ID

#: The id of a thing in a path.
ID = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
#: What a name in a path may be.
NAME = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH}
#: What else is known of it, by what it names.
NAMES = {"schedule": {"pattern": NAME_PATTERN.replace(r"\Z", "$")}}
BOT_INSTANCE = {
    "name": "Bot-Instance",
    "in": "header",
    "required": False,
    "description": "For bots: the instance that calls, as it named itself in `hello`.",
    "schema": {"type": "string", "maxLength": INSTANCE_LENGTH, "pattern": "^[ -~]*$"},
    "example": "host7-4711-a1b2",
}


def described(found: list[dict[str, Any]], path: str, *, is_for_bots: bool) -> list[dict[str, Any]]:
    """The parameters of the call of this path, with what each is."""
    thing = names.singular(path.strip("/").split("/")[0])
    return [_described(parameter, thing) for parameter in found] + ([BOT_INSTANCE] if is_for_bots else [])


def _described(parameter: dict[str, Any], thing: str) -> dict[str, Any]:
    if parameter["in"] != "path":
        return parameter
    is_id = parameter["name"].endswith("_id")
    schema = ID if is_id else NAME | NAMES.get(thing, {})
    words = f"The {'id' if is_id else 'name'} of the {thing}."
    return {"description": words} | parameter | {"schema": schema}


def plain_reference(content: dict[str, Any]) -> None:
    """Write the schema of a body as a reference alone. Ninja wraps that of a body that may be left out."""
    wrapped = content["schema"].get("allOf", [])
    if len(wrapped) == 1:
        content["schema"] = wrapped[0]
