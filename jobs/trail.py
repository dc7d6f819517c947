"""What every log line says of the request, sweep or command that it came from, and the lines about leases.

A request carries one dict through its thread, so that what is learned on the way (which bot, which job) is in every
line after; a line that nobody writes costs nothing. Never bind a token, a body, or anything else that came in unread.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import transaction

from jobs.errors import JobsiteError
from jobs.states import Actor, Verb

if TYPE_CHECKING:
    from jobs.lifecycle import By, Change

logger = logging.getLogger("jobsite.jobs")

T = TypeVar("T")

_bound: ContextVar[dict[str, Any] | None] = ContextVar("jobsite_trail", default=None)


class begin:  # noqa: N801  called like a function
    """A request, sweep or command: what it said so far, and what is bound within, is in each of its lines."""

    __slots__ = ("_said", "_token")

    def __init__(self, **said: Any) -> None:
        self._said = said

    def __enter__(self) -> dict[str, Any]:
        outer = _bound.get()
        if outer:
            self._said = {**outer, **self._said}
        self._token = _bound.set(self._said)
        return self._said

    def __exit__(self, *failed: object) -> None:
        _bound.reset(self._token)


def bind(**said: Any) -> None:
    """From here on the lines of this request say this, too. Outside of one it does nothing."""
    mine = _bound.get()
    if mine is not None:
        mine.update(said)


def bound() -> Mapping[str, Any]:
    """What the lines say now. Names with a leading underscore are for ourselves and stand in no line."""
    return _bound.get() or {}


def waited(wait: Callable[[], T]) -> T:
    """Do what waits for jobs on purpose: the time it takes does not make a request slow."""
    began = time.perf_counter()
    try:
        return wait()
    finally:
        bind(_waited=time.perf_counter() - began)


# --- Lines about leases -------------------------------------------------------------------------------------------


def tell(verb: str, by: "By", changes: Iterable["Change"], reasons: Mapping[int, str]) -> None:
    """One line for each job that an operator, the sweep or a release changed, once the transaction holds.

    What bots report all day is in the history and not in the log, unless that is set to DEBUG.
    """
    if not says(by.actor, verb):
        return
    level = _level(by.actor, verb)
    lines = [(change, reasons.get(change.id, "")) for change in changes]
    # As it is now: the commit may come when the request, or the sweep, is over.
    about = dict(bound())

    def write() -> None:
        for change, why in lines:
            _tell(level, verb, by, change, why, about)

    if lines:
        transaction.on_commit(write, robust=True)


def says(actor: str, verb: str) -> bool:
    """Whether `tell` writes anything of such changes."""
    return logger.isEnabledFor(_level(actor, verb))


def _level(actor: str, verb: str) -> int:
    return logging.DEBUG if actor == Actor.BOT and verb != Verb.RELEASE else logging.INFO


def _tell(level: int, verb: str, by: "By", change: "Change", why: str, about: Mapping[str, Any]) -> None:
    said = {
        **about,
        "verb": str(verb), "job": change.id, "attempt": change.attempt, "kind": change.kind, "bot": change.bot_name,
        "bot_id": change.bot, "actor": str(by.actor), "by": by.name, "reason": why, "status": change.status,
        "previous_status": change.previous_status,
    }  # fmt: skip
    logger.log(level, "%s of job %s by %s: %s", verb, change.id, by.name, change.status, extra={"said": said})


def refused(by: "By", errors: Mapping[int, JobsiteError]) -> None:
    """One line for each report on a lease that is no longer the bot's."""
    for job_id, error in errors.items():
        if "attempt" in error.extra:
            said = {
                "job": job_id, "attempt": error.extra["attempt"], "code": error.code, "bot": by.name,
                "bot_id": by.bot_id, "verb": error.extra["verb"], "ended_by": error.extra["ended_by"],
            }  # fmt: skip
            logger.warning("report refused: %s of job %s", error.code, job_id, extra={"said": said})
