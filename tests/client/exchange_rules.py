"""What the server takes for an exchange, as the API says."""

import json
from typing import Any

MOST_REPORTS = 1000
# Bytes, as compact JSON.
MOST_RESULT = 256 * 1024
# What an exchange may hold, by the name of its list: the call that says the same, and the fields of a report.
SORTS = {
    "completed": ("complete", {"id", "attempt", "result"}),
    "failed": ("fail", {"id", "attempt", "error", "retry", "retry_in"}),
    "released": ("release", {"id", "attempt", "run_in", "reason"}),
    "heartbeats": ("heartbeat", {"id", "attempt", "progress", "note"}),
}
CLAIM = {"limit", "kinds", "wait", "start"}


def faults(body: dict[str, Any]) -> list[str]:
    """What is wrong with the body of an exchange: one sentence for each fault, which names the field."""
    wrong = [f"{name}: no such field" for name in set(body) - set(SORTS) - {"claim", "slots"}]
    seen: set[Any] = set()
    for sort, (_, fields) in SORTS.items():
        reports = body.get(sort, ())
        if len(reports) > MOST_REPORTS:
            wrong.append(f"{sort}: more than {MOST_REPORTS}")
        for place, report in enumerate(reports):
            wrong += [f"{sort}[{place}].{name}: no such field" for name in set(report) - fields]
            if report["id"] in seen:
                wrong.append(f"{sort}[{place}].id: named twice")
            seen.add(report["id"])
            result = json.dumps(report.get("result"), ensure_ascii=False, separators=(",", ":"))
            if len(result.encode()) > MOST_RESULT:
                wrong.append(f"{sort}[{place}].result: longer than 256 KiB")
    claim = body.get("claim", {})
    wrong += [f"claim.{name}: no such field" for name in set(claim) - CLAIM]
    if not 1 <= claim.get("limit", 1) <= 1000 or not 0 <= claim.get("wait", 0) <= 30:
        wrong.append("claim: out of range")
    return wrong
