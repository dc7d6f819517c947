"""The form of each body that a bot sends. Pure."""

from collections.abc import Callable, Iterator
from typing import Any

# Says what is wrong with a value, field by field: `(field, message)`.
Check = Callable[[str, Any], Iterator[tuple[str, str]]]
MAX_ID = 2**63 - 1
MAX_ATTEMPT = 2**31 - 1
# Fields that may be null, which is the same as to leave them out.
NULLABLE = {
    "kinds",
    "group",
    "holds",
    "slots",
    "identity",
    "version",
    "pid",
    "progress",
    "note",
    "claim",
    "result",
    "run_in",
    "retry_in",
}


def text(longest: int, shortest: int = 0) -> Check:
    def check(field: str, value: Any) -> Iterator[tuple[str, str]]:
        if not isinstance(value, str):
            yield field, "a text is needed"
        elif not shortest <= len(value) <= longest:
            yield field, f"{shortest} to {longest} characters"

    return check


def number(least: float, most: float, *, integer: bool = True) -> Check:
    def check(field: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, bool) or not isinstance(value, int if integer else (int, float)):
            yield field, "a whole number is needed" if integer else "a number is needed"
        elif not least <= value <= most:
            yield field, f"from {least} to {most}"

    return check


def yes_or_no(field: str, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, bool):
        yield field, "true or false is needed"


def anything(field: str, value: Any) -> Iterator[tuple[str, str]]:
    yield from ()


def list_of(check: Check, most: int) -> Check:
    def check_list(field: str, value: Any) -> Iterator[tuple[str, str]]:
        if not isinstance(value, list):
            yield field, "a list is needed"
            return
        if len(value) > most:
            yield field, f"at most {most}"
        for place, item in enumerate(value):
            yield from check(f"{field}[{place}]", item)

    return check_list


def fields(known: dict[str, Check], *needed: str) -> Check:
    def check(field: str, value: Any) -> Iterator[tuple[str, str]]:
        if not isinstance(value, dict):
            yield field or "body", "an object is needed"
            return
        before = f"{field}." if field else ""
        for name in needed:
            if name not in value:
                yield before + name, "this field is required"
        for name, item in value.items():
            if name not in known:
                yield before + name, "there is no such field"
            elif item is not None or name not in NULLABLE:
                yield from known[name](before + name, item)

    return check


def lease(field: str, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list) or len(value) != 2:
        yield field, "a pair [job, attempt] is needed"
        return
    yield from ID(f"{field}[0]", value[0])
    yield from ATTEMPT(f"{field}[1]", value[1])


ID, ATTEMPT = number(1, MAX_ID), number(1, MAX_ATTEMPT)
DELAY = number(0, 365 * 86_400, integer=False)
INSTANCE = text(100, 1)
SLOTS = fields({name: number(0, 10_000) for name in ("all", "free", "lost")}, "all", "free", "lost")
CLAIM = {
    "limit": number(1, 1000),
    "kinds": list_of(text(100, 1), 200),
    "wait": number(0, 30, integer=False),
    "start": yes_or_no,
}
REPORTS: dict[str, dict[str, Check]] = {
    "start": {"attempt": ATTEMPT},
    "heartbeat": {"attempt": ATTEMPT, "progress": number(0, 100), "note": text(500)},
    "complete": {"attempt": ATTEMPT, "result": anything},
    "fail": {"attempt": ATTEMPT, "error": text(65_536), "retry": yes_or_no, "retry_in": DELAY},
    "release": {"attempt": ATTEMPT, "reason": text(500), "run_in": DELAY},
}
# The lists of an exchange, and the verb of each.
SORTS = {"completed": "complete", "failed": "fail", "released": "release", "heartbeats": "heartbeat"}


def _report(verb: str, **besides: Check) -> Check:
    needed = ("attempt", *besides, *(("error",) if verb == "fail" else ()))
    return fields(REPORTS[verb] | besides, *needed)


BODIES: dict[str, Check] = {
    "hello": fields(
        {
            "instance": INSTANCE,
            "identity": text(100),
            "host": text(100),
            "pid": number(0, 2**31 - 1),
            "version": text(100),
            "alone": yes_or_no,
            "kinds": CLAIM["kinds"],
            "slots": SLOTS,
            "holds": list_of(lease, 10_000),
        },
        "instance",
    ),
    "goodbye": fields({"instance": INSTANCE}, "instance"),
    "heartbeat": fields({"version": text(100), "holds": list_of(lease, 10_000), "slots": SLOTS}),
    "claim": fields(CLAIM | {"slots": SLOTS}),
    "throttle": fields(
        {"kind": text(100, 1), "group": text(100, 1), "for": number(0, 3600, integer=False), "reason": text(500)},
        "kind",
        "for",
    ),
    "exchange": fields(
        {"claim": fields(CLAIM), "slots": SLOTS}
        | {name: list_of(_report(verb, id=ID), 1000) for name, verb in SORTS.items()}
    ),
} | {f"job {verb}": _report(verb) for verb in REPORTS}


def faults(call: str, body: Any) -> list[tuple[str, str]]:
    """What is wrong with the body of a call, `(field, message)` each; nothing if it is right."""
    wrong = list(BODIES[call]("", body))
    if not wrong and call == "exchange":
        wrong = list(_named_twice(body))
    if not wrong and call == "hello" and body.get("identity") is not None and body.get("alone") is False:
        wrong = [("body", "give `identity` or `alone: false`, and not both")]
    return wrong


def _named_twice(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    seen = set()
    for name in SORTS:
        for place, report in enumerate(body.get(name) or ()):
            if report["id"] in seen:
                yield f"{name}[{place}].id", f"job {report['id']} is named twice"
            seen.add(report["id"])
