"""Read the logs of the callers: calls, and the facts in them: jobs asked for, leases given, reports, acts of people."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Any

Lease = tuple[int, int]
#: Reports that end a lease, by their name in an exchange, and as calls of their own.
ENDING = {"completed": "complete", "failed": "fail"}
REPORTS = {*ENDING.values(), "release", "heartbeat", "start"}
#: What only operators call. They and bots share the path of a release.
OPERATIONS = {"release", "cancel", "retry"}


class Outcome(StrEnum):
    """What an answer says of the call."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass
class Call:
    """One call: who sent what, from when until when, and the answer. No `status`: no answer."""

    who: str
    path: str
    sent: Any
    began: float
    ended: float = inf
    status: int = 0
    answer: Any = None
    lost: str = ""

    @property
    def code(self) -> str:
        return str(self.answer.get("code", "")) if isinstance(self.answer, dict) else ""

    @property
    def outcome(self) -> Outcome:
        if 200 <= self.status < 300:
            return Outcome.DONE
        # 503 with this code promises that nothing was changed; any other answer above 499 promises nothing.
        if 400 <= self.status < 500 or (self.status == 503 and self.code == "unavailable"):
            return Outcome.REFUSED
        return Outcome.UNKNOWN

    @property
    def verb(self) -> str:
        """The last word of its path."""
        return self.path.partition("?")[0].rpartition("/")[2]


@dataclass(frozen=True)
class Lost:
    """A restore: what was acknowledged between the beginning of the dump and its end may be gone."""

    since: float
    until: float


@dataclass
class Journal:
    """All calls, by the time they began, and the restores."""

    calls: list[Call]
    restores: list[Lost] = field(default_factory=list)

    def kept(self, call: Call) -> Outcome:
        """What is known of it now: of a call from a lost future nothing."""
        if any(call.ended >= lost.since and call.began <= lost.until for lost in self.restores):
            return Outcome.UNKNOWN
        return call.outcome


def read(paths: Iterable[Path], restores: Iterable[Lost] = ()) -> Journal:
    """Read the logs of all callers."""
    calls = [call for path in paths for call in _calls(path)]
    return Journal(sorted(calls, key=lambda call: call.began), list(restores))


def _calls(path: Path) -> Iterator[Call]:
    open_calls: dict[int, Call] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            # Cut off by a kill. It was the last one.
            continue
        if "call" in line:
            open_calls[line["n"]] = Call(line["who"], line["call"], line["sent"], line["at"])
            continue
        call = open_calls.pop(line["n"])
        call.ended = line["at"]
        call.status, call.answer, call.lost = line.get("status", 0), line.get("answer"), line.get("lost", "")
        yield call
    yield from open_calls.values()


def operations(calls: Iterable[Call]) -> int:
    """How many things were asked for: each job of a bulk call, each report and lease of an exchange, and so on.

    A call without an answer counts as one, since it may have reached nobody.
    """
    n = 0
    for call in calls:
        sent = call.sent if isinstance(call.sent, dict) and call.status else {}
        parts = [len(sent[name]) for name in ("jobs", "completed", "failed", "heartbeats") if name in sent]
        given = len(call.answer.get("jobs", ())) if call.outcome is Outcome.DONE and call.verb == "exchange" else 0
        n += max(1, sum(parts) + given)
    return n


@dataclass(frozen=True)
class Added:
    """A call that asked for jobs. `ids`: those it was answered with."""

    op: str
    asked: list[dict[str, Any]]
    ids: list[int]
    outcome: Outcome
    call: Call


@dataclass(frozen=True)
class Given:
    """A lease that an answer gave to a bot."""

    job: int
    attempt: int
    bot: str
    call: Call


@dataclass(frozen=True)
class Report:
    """A report on a lease, or an act of a person on a job, and what became of it. `code`: why it was refused."""

    outcome: Outcome
    call: Call
    body: dict[str, Any]
    code: str = ""


@dataclass
class Facts:
    """What the calls asked for and were answered."""

    added: list[Added] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    #: By (job, attempt, verb, bot).
    reports: dict[tuple[int, int, str, str], list[Report]] = field(default_factory=lambda: defaultdict(list))
    #: By (job, verb).
    acts: dict[tuple[int, str], list[Report]] = field(default_factory=lambda: defaultdict(list))
    #: By bot: the jobs that the answers to hello and goodbye say were released.
    released: list[tuple[int, str, Call]] = field(default_factory=list)
    #: Whether a bot was perhaps restarted, which releases jobs that no answer names.
    restarts_unknown: bool = False
    #: Bots with a claim of which nothing is known.
    unanswered: set[str] = field(default_factory=set)


def facts(journal: Journal) -> Facts:
    """Take the facts out of the calls."""
    found = Facts()
    for call in journal.calls:
        outcome = journal.kept(call)
        if call.path in ("/jobs", "/jobs/bulk") and call.sent is not None:
            _added(found, call, outcome)
        elif call.verb in ("claim", "exchange"):
            _turn(found, call, outcome)
        elif call.verb in ("hello", "goodbye") and outcome is Outcome.DONE:
            found.released += [(job, call.who, call) for job in call.answer["released"]]
        elif call.verb == "restart":
            _restarted(found, call, outcome)
        elif call.path.startswith("/jobs/") and call.sent is not None:
            job = int(call.path.split("/")[2])
            report = Report(outcome, call, call.sent, call.code)
            if call.verb in REPORTS and "attempt" in call.sent:
                found.reports[job, call.sent["attempt"], call.verb, call.who].append(report)
            elif call.verb in OPERATIONS:
                found.acts[job, call.verb].append(report)
    return found


def _added(found: Facts, call: Call, outcome: Outcome) -> None:
    jobs = call.sent["jobs"] if call.path.endswith("bulk") else [call.sent]
    ids: list[int] = []
    if call.outcome is Outcome.DONE:
        ids = (call.answer["ids"] or []) if call.path.endswith("bulk") else [call.answer["id"]]
    found.added.append(Added(jobs[0]["payload"]["op"], jobs, ids, outcome, call))


def _restarted(found: Facts, call: Call, outcome: Outcome) -> None:
    found.restarts_unknown |= outcome is Outcome.UNKNOWN
    for job in call.answer["released"] if outcome is Outcome.DONE else ():
        found.acts[job, "release"].append(Report(outcome, call, call.sent))


def _turn(found: Facts, call: Call, outcome: Outcome) -> None:
    if call.outcome is Outcome.DONE:
        found.given += [Given(job["id"], job["attempt"], call.who, call) for job in call.answer["jobs"]]
    elif outcome is Outcome.UNKNOWN:
        found.unanswered.add(call.who)
    accepted = set(call.answer["accepted"]) if call.outcome is Outcome.DONE and call.verb == "exchange" else set()
    rejected = {}
    if call.outcome is Outcome.DONE and call.verb == "exchange":
        rejected = {(one["id"], one["attempt"]): one["code"] for one in call.answer["rejected"]}
    for name, verb in {**ENDING, "heartbeats": "heartbeat"}.items():
        for body in call.sent.get(name, ()):
            lease = (body["id"], body["attempt"])
            became, code = outcome, call.code
            if outcome is Outcome.DONE:
                became = Outcome.DONE if body["id"] in accepted else Outcome.REFUSED
                code = rejected.get(lease, "" if body["id"] in accepted else "neither accepted nor rejected")
            found.reports[*lease, verb, call.who].append(Report(became, call, body, code))
