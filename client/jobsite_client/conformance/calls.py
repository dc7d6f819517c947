"""What the bot has called, and what it was answered. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .bodies import SORTS

# The problem codes that reject one report and not the call.
REJECTED = {"lease_lost": 409, "not_found": 404}


@dataclass(frozen=True)
class Report:
    """A report about one lease, alone or in an exchange. `status`: of its own call; None: it was not answered."""

    verb: str
    job: Any
    attempt: Any
    body: dict[str, Any]
    status: int | None
    call: "Call"

    @property
    def lease(self) -> tuple[Any, Any]:
        return self.job, self.attempt


@dataclass
class Call:
    """One call. `at` and `answered_at` are seconds since the start; `status` None: no answer reached the bot.

    `sort` is its path, with the job's id: `jobs/17/complete`. It is `connection` where a connection was closed before
    anything was read.
    """

    at: float
    sort: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    answer: Any = None
    retry_after: float | None = None
    answered_at: float | None = None
    # Refused on purpose, and not because the bot made a mistake.
    planned: bool = False
    # The bot closed the connection before the answer came.
    hung_up: bool = False

    @property
    def instance(self) -> str:
        return self.headers.get("bot-instance", "").strip()

    @property
    def claim(self) -> dict[str, Any] | None:
        """The claim in it."""
        body = self.body if isinstance(self.body, dict) else {}
        if self.sort == "claim":
            return body
        claim = body.get("claim") if self.sort == "exchange" else None
        return claim if isinstance(claim, dict) else None

    @property
    def code(self) -> str:
        """The code of the problem that it was answered with, or nothing."""
        return str(self.answer.get("code") or "") if isinstance(self.answer, dict) else ""

    def reports(self) -> Iterator[Report]:
        """The reports in it."""
        body = self.body if isinstance(self.body, dict) else {}
        if self.sort.startswith("jobs/"):
            _, job, verb = self.sort.split("/")
            yield Report(verb, int(job) if job.isdigit() else job, body.get("attempt"), body, self.status, self)
        if self.sort == "exchange":
            answer = self.answer if isinstance(self.answer, dict) else {}
            rejected = {entry["id"]: REJECTED[entry["code"]] for entry in answer.get("rejected") or ()}
            for name, verb in SORTS.items():
                for item in body.get(name) or ():
                    status = rejected.get(item.get("id"), self.status)
                    yield Report(verb, item.get("id"), item.get("attempt"), item, status, self)

    def lost_leases(self) -> set[tuple[Any, Any]]:
        """The leases of which the answer says that they are lost."""
        lost = {report.lease for report in self.reports() if report.status == 409 and self.code in ("", "lease_lost")}
        if self.sort == "heartbeat" and self.status == 200:
            lost |= {(job, attempt) for job, attempt in self.answer["lost"]}
        return lost

    def __str__(self) -> str:
        outcome = self.code or str(self.status) if self.status else "no answer"
        return f"{self.at:6.2f} s  {self.sort} {_short(self.body)} → {outcome}"


def _short(body: Any) -> str:
    words = repr(body) if body is not None else ""
    return words if len(words) <= 160 else words[:160] + "…"
