"""The texts of the OpenAPI document that are about no single call."""

import re
from collections.abc import Iterable

INFO = {
    "license": {"name": "MIT", "identifier": "MIT"},
    "contact": {"name": "The operators of this server"},
}
SERVERS = [{"url": "/", "description": "This server."}]
SECURITY_SCHEMES = {
    "botToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "jsb_…",
        "description": "A bot's token: from `POST /api/v1/bots` or `manage.py create_bot`.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "jsk_…",
        "description": "A person's API key, from `manage.py create_key`. It may do what its user may, in its scope.",
    },
}
#: What the calls under each tag are for, in the order in which they are listed.
TAGS = {
    "Bots": "What a bot calls, with its token: hello, claim, work with heartbeats, report, goodbye.",
    "Jobs": "Add jobs, follow them, and intervene.",
    "Errors": "Error groups: failures of one kind whose errors are alike: resolve, ignore, retry.",
    "Schedules": "Rules that make jobs, by a cron line or an interval.",
    "Fleet": "Register bots, see how they are, and pause or restart them.",
    "Incidents": "What needs a person now.",
    "Audit": "What people did.",
}


def tags(used: Iterable[str]) -> list[dict[str, str]]:
    """The tags of the document: those with a text in their order, then others that a call has."""
    others = [tag for tag in dict.fromkeys(used) if tag not in TAGS]
    return [{"name": tag, "description": TAGS.get(tag, "")} for tag in [*TAGS, *others]]


def summary_and_description(docstring: str) -> tuple[str, str]:
    """What a call does, from its docstring: its first sentence without the full stop, and all of it."""
    paragraphs = [" ".join(part.split()) for part in docstring.split("\n\n")]
    first = re.split(r"(?<=[.!?])\s", paragraphs[0], maxsplit=1)[0]
    return first.removesuffix("."), "\n\n".join(paragraphs)
