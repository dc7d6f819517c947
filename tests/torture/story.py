"""Tell the story of a job: every call that named it, beside its history and its row, in order."""

from collections.abc import Iterator
from typing import Any

from tests.torture.checker import Evidence
from tests.torture.journal import Call

#: The most lines of a story.
LINES = 60


def story(evidence: Evidence, job: int) -> str:
    """The calls about a job, then its events and its row."""
    row = evidence.rows.jobs.get(job)
    op = row.payload.get("op") if row is not None else None
    start = evidence.journal.calls[0].began
    lines = []
    for call in evidence.journal.calls:
        about = list(_about(call, job, op))
        if about:
            answer = f"{call.status} {call.code}" if call.status else f"no answer {call.lost}"
            moments = f"{call.began - start:9.3f}–{call.ended - start:9.3f}"
            lines.append(f"{moments} {call.who:10} {call.path}: {'; '.join(about)} → {answer}")
    for lost in evidence.journal.restores:
        lines.append(f"{lost.since - start:9.3f}–{lost.until - start:9.3f} dumped and restored")
    events = [str(event) for event in evidence.rows.events.get(job, ())]
    return "\n".join([*lines[-LINES:], *events[-LINES:], str(row) if row is not None else f"there is no row {job}"])


def _about(call: Call, job: int, op: str | None) -> Iterator[str]:
    """What a call asked and was answered about this job."""
    sent: dict[str, Any] = call.sent if isinstance(call.sent, dict) else {}
    answer: dict[str, Any] = call.answer if isinstance(call.answer, dict) else {}
    if call.path.startswith(f"/jobs/{job}/"):
        yield f"{sent} {str(answer)[:200]}"
    for name in ("completed", "failed", "heartbeats"):
        yield from (f"{name} {one}" for one in sent.get(name, ()) if one["id"] == job)
    for name in ("jobs", "rejected"):
        found = answer.get(name)
        yield from (f"{name} {_short(one)}" for one in found or () if isinstance(one, dict) and one.get("id") == job)
    if job in (answer.get("accepted") or ()):
        yield "accepted"
    if job in (answer.get("released") or ()):
        yield "released"
    if op is not None and any(one.get("payload", {}).get("op") == op for one in sent.get("jobs", [sent])):
        yield f"asked for {len(sent.get('jobs', [sent]))} jobs"


def _short(one: dict[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("id", "attempt", "code", "verb", "detail") if name in one}
