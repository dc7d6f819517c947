"""Parse the search field of the job list."""

import difflib
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

from django.db.models import Q

from jobs.states import JobStatus
from jobsite.lib.errors import BadRequest, Invalid
from jobsite.lib.params import number_in
from jobsite.lib.strict_json import loads

#: The fields of a search, each with an example and what it finds.
FIELDS = {
    "kind": ("kind:mail.send", "jobs of this kind"),
    "status": ("status:failed", "jobs of this status"),
    "bot": ("bot:ada", "jobs this bot holds, and the last it finished"),
    "key": ("key:order-7", "jobs that were given this key"),
    "group": ("group:acme", "jobs of this group"),
    "schedule": ("schedule:nightly", "jobs this schedule made"),
    "error": ('error:"no answer"', "jobs whose error has this text"),
    "error_group": ("error_group:17", "failed jobs of this error group"),
    "payload": ("payload.customer=17", "jobs whose payload has this value there"),
}
#: The fields that read what jobs carry.
OF_PAYLOADS = ("error", "error_group", "payload")
#: How a search names a job by its number.
_NUMBER = re.compile(r"(id:|job:|#)?[0-9]{1,18}", re.A)


@dataclass
class Terms:
    """A parsed search. `words` are looked for in all that a job has; `notes` say how to write what was not understood.

    The others are what jobs have: numbers, and values of `FIELDS`.
    """

    ids: list[int] = field(default_factory=list)
    key: list[str] = field(default_factory=list)
    bot: list[str] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    status: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    schedule: list[str] = field(default_factory=list)
    error: list[str] = field(default_factory=list)
    error_group: list[int] = field(default_factory=list)
    payload: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def reads_payloads(self) -> bool:
        """Whether it has conditions on what jobs carry. Words are looked for there only by those who may see it."""
        return any(getattr(self, name) for name in OF_PAYLOADS)

    @property
    def is_empty(self) -> bool:
        """Whether it has no condition."""
        return not any(getattr(self, one.name) for one in fields(self) if one.name != "notes")


def parse(text: str) -> Terms:
    """Parse `17`, `key:abc`, `bot:ada`, `group:acme`, `payload.customer=17`, `error:"no answer"`, and words."""
    terms = Terms()
    text = text.replace("\0", "").strip()
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
        if text:
            terms.notes.append('A quote has no end: write "no answer" to look for words that stand together.')
    for word in filter(None, words):
        _add(terms, word)
    return terms


def _add(terms: Terms, word: str) -> None:
    name, colon, value = word.partition(":")
    if word.startswith("payload."):
        _add_payload(terms, word)
    elif _NUMBER.fullmatch(word):
        terms.ids.append(int(re.sub(r"\D", "", word)))
    elif colon and name in FIELDS and name != "payload":
        _add_field(terms, name, value)
    else:
        near = difflib.get_close_matches(name.lower(), FIELDS, n=1, cutoff=0.75) if colon else []
        if near and not value.startswith("//"):
            terms.notes.append(f"There is no field “{name}”: write {FIELDS[near[0]][0]} for {FIELDS[near[0]][1]}.")
        terms.words.append(word)


def _add_payload(terms: Terms, word: str) -> None:
    path, equals, value = word.removeprefix("payload.").partition("=")
    if equals and path and all(path.split(".")):
        terms.payload.append((tuple(path.split(".")), value))
        return
    example, what = FIELDS["payload"]
    terms.notes.append(f"“{word}” is looked for as a word. Write {example} for {what}.")
    terms.words.append(word)


def _add_field(terms: Terms, name: str, value: str) -> None:
    example, what = FIELDS[name]
    if not value:
        terms.notes.append(f"“{name}:” has nothing after it: write {example} for {what}.")
    elif name == "status" and value not in JobStatus.values:
        terms.notes.append(f"There is no status “{value}”: write status: and one of {', '.join(JobStatus.values)}.")
        terms.status.append(value)
    elif name == "error_group":
        number = number_in(value)
        terms.error_group.append(number or 0)
        if number is None:
            terms.notes.append(f"An error group has a number: write {example} for {what}.")
    else:
        getattr(terms, name).append(value)


def has_value(path: tuple[str, ...], value: str) -> Q:
    """Match jobs whose payload has this value at `path`, as a string or as parsed JSON."""
    values: list[Any] = [value]
    with suppress(BadRequest, Invalid):
        values.append(loads(value.encode()))
    condition = Q()
    for wanted in values:
        for name in reversed(path):
            wanted = {name: wanted}
        condition |= Q(payload__contains=wanted)
    return condition
