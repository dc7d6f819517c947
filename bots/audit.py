"""Record what people do: a row of the audit log in the act's own transaction, and a log line once it has committed.

`record` is the only writer of `AuditEntry`. Log lines about single jobs are written by `jobs.lifecycle.audit`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import connection, models, transaction
from django.http import HttpRequest

from bots.acts import Act, Via, about
from bots.models import ApiKey, AuditEntry
from jobsite.lib.log_context import bound

log = structlog.stdlib.get_logger("jobsite.bots")

#: Fields whose values are never recorded: only that they changed.
SECRET_FIELDS = frozenset({"address", "digest", "password", "password1", "password2", "secret", "token_digest"})
#: Stands in place of a secret value.
HIDDEN = "[hidden]"
#: The most items of a list that are written out for people.
LISTED = 20
#: What the audit log calls objects whose models have another name.
TYPES = {"apikey": "key", "jobkind": "kind", "secondfactor": "second_factor"}


@dataclass(frozen=True)
class Who:
    """Who acts: a user's name (empty for a command), how the act came in, and the visible prefix of the key used.

    `act`: the number of the act, where it is done in several steps.
    """

    name: str = ""
    via: Via = Via.COMMAND
    key: str = ""
    act: int | None = None


#: Who acts where a command does.
COMMAND = Who()


@dataclass(frozen=True)
class Subject:
    """What an act is about: one object, or with an empty `id` several. `before`, `after`: what the act changed."""

    type: str
    id: Any
    name: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    #: Fields of the log line only.
    logged: Mapping[str, Any] = field(default_factory=dict)


def caller(request: HttpRequest) -> Who:
    """Who makes this request, by a key or in the console."""
    key = getattr(request, "auth", None)
    if isinstance(key, ApiKey):
        return Who(key.user.get_username() if key.user else key.username, Via.API, key.prefix)
    return oneself(request.user)


def oneself(user: Any) -> Who:
    """This person, who is logging in or on their own page of the console."""
    return Who(user.get_username(), Via.CONSOLE)


def type_of(model: type[models.Model] | models.Model) -> str:
    """What the audit log calls objects of this model."""
    name = str(model._meta.model_name)
    return TYPES.get(name, name)


def subject(
    row: models.Model, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None, **logged: Any
) -> Subject:
    """The subject for a row."""
    return Subject(type_of(row), row.pk, str(row), before or {}, after or {}, logged)


def reserve() -> int:
    """Return the id of an entry to come, so that what the act writes can refer to it, or the number of an act."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('bots_auditentry', 'id'))")
        return int(cursor.fetchone()[0])


def record(
    verb: Act, subjects: Iterable[Subject], *, by: Who, reason: str = "", pk: int | None = None, logs: bool = True
) -> None:
    """Record an act: an entry and a log line for each subject. Call it in the transaction of the act.

    `pk`: the reserved id of the only entry. Without `logs` there are no log lines. Values of `SECRET_FIELDS` are left
    out; never put a token into anything else, or a part of one.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An act is recorded in the transaction that carries it out.")
    subjects = list(subjects)
    AuditEntry.objects.bulk_create([_entry(verb, one, by, reason, pk) for one in subjects])
    if logs:
        write_on_commit(log, logging.INFO, [_line(verb, one, by, reason) for one in subjects])


def words(values: Mapping[str, Any]) -> str:
    """Format the values of an entry for people: `paused: yes; kinds: sum, mail`."""
    return "; ".join(f"{name}: {_word(value)}" for name, value in values.items()) or "–"


def _word(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(map(str, value[:LISTED])) or "none"
        return shown if len(value) <= LISTED else f"{shown} and {len(value) - LISTED} more"
    return {"True": "yes", "False": "no", "None": "none", "": "empty"}.get(str(value), str(value))


def _entry(verb: Act, one: Subject, by: Who, reason: str, pk: int | None) -> AuditEntry:
    return AuditEntry(
        pk=pk, by=by.name, via=by.via, key=by.key, verb=verb, object_type=one.type, object_id=str(one.id),
        object_name=one.name[: AuditEntry.LABEL_LENGTH], before=without_secrets(one.before),
        after=without_secrets(one.after), reason=reason, request_id=str(bound().get("request_id", ""))[:64],
        act=by.act,
    )  # fmt: skip


def without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return these values with secret ones hidden. One that is empty stays empty."""
    return {name: HIDDEN if name in SECRET_FIELDS and value else value for name, value in values.items()}


def _line(verb: Act, one: Subject, by: Who, reason: str) -> tuple[str, Mapping[str, Any]]:
    # A key is named in the log by its number: its name has the beginning of its text.
    name = one.id if one.type == "key" else one.name
    number = {f"{one.type}_id": one.id} if one.id and str(name) != str(one.id) else {}
    # The standard library's records have a `name` already, and `user` is who calls.
    what = {"person" if one.type == "user" else one.type: name, **number}
    fields = {"verb": str(verb), **what, **one.logged, "actor": "operator", "by": by.name, "reason": reason}
    return f"{verb} of {about(one.type, one.id, name)}{f' by {by.name}' if by.name else ''}", fields


def write_on_commit(
    log: structlog.stdlib.BoundLogger, level: int, lines: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    """Write these lines (message, fields) once the transaction has committed, and none if it is rolled back."""
    if not lines:
        return
    # The context of now: the commit may come when the request or sweep is over.
    context = dict(bound())

    def write() -> None:
        for message, fields in lines:
            log.log(level, message, **{**context, **fields})

    transaction.on_commit(write, robust=True)
