"""What the server does wrong on purpose: which calls, how often, and what instead of the answer."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .calls import Call
from .queue import Refused

Match = Callable[[Call], bool]


def claims(call: Call) -> bool:
    """Whether the call asks for jobs."""
    return call.claim is not None


def claims_by_long_poll(call: Call) -> bool:
    """Whether the call asks for jobs, waits for them and reports nothing."""
    return bool(call.claim and call.claim.get("wait")) and not any(call.reports())


def gives(kind: str) -> Match:
    """Match calls whose answer gives a job of this kind."""
    return lambda call: any(job["kind"] == kind for job in (call.answer or {}).get("jobs") or ())


def reports(verb: str) -> Match:
    """Match calls with such a report, alone or in an exchange."""
    return lambda call: any(report.verb == verb for report in call.reports())


@dataclass
class Plan:
    """One misbehaviour, for the next `times` calls that match.

    `carried_out`: the server does what is asked, and only then misbehaves; `match` gets the call with its answer.
    `refusal` is the answer in its place, None a closed connection; `empty`: an answer without jobs, at once.
    """

    match: Match
    times: int
    carried_out: bool = False
    refusal: tuple[int, str] | None = None
    retry_after: float | None = None
    empty: bool = False
    calls: list[Call] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return len(self.calls) >= self.times

    def change(self, call: Call, problem: Callable[[Call, Refused], None]) -> None:
        """Put this in the place of the call's answer."""
        call.retry_after = self.retry_after
        if self.empty:
            call.status, call.answer = 200, {"jobs": [], "paused": False, "restart": False}
            if call.sort == "exchange":
                call.answer |= {"accepted": [], "rejected": [], "cancel": []}
        elif self.refusal is None:
            call.status = None
        else:
            problem(call, Refused(*self.refusal, "The conformance suite refuses this call on purpose."))


class Misbehaviour:
    """The plans of a scenario; the first that matches a call is for it."""

    def __init__(self) -> None:
        self._plans: list[Plan] = []

    def lose(self, match: Match, times: int = 1) -> Plan:
        """Carry the call out and lose its answer."""
        return self._add(Plan(match, times, carried_out=True))

    def not_known(self, match: Match, times: int = 1) -> Plan:
        """Carry the call out and answer that this is not known."""
        return self._add(Plan(match, times, True, (503, "outcome_unknown"), retry_after=1))

    def refuse(self, match: Match, status: int, retry_after: float, times: int = 1) -> Plan:
        """Refuse the call, and ask to wait."""
        code = {429: "too_many_requests", 503: "unavailable"}[status]
        return self._add(Plan(match, times, refusal=(status, code), retry_after=retry_after))

    def no_room(self, match: Match, retry_after: float, times: int = 1) -> Plan:
        """Answer at once that there is no job, and ask to wait."""
        return self._add(Plan(match, times, retry_after=retry_after, empty=True))

    def _add(self, plan: Plan) -> Plan:
        self._plans.append(plan)
        return plan

    def take(self, call: Call, *, carried_out: bool) -> Plan | None:
        """The plan for this call, if there is one."""
        for plan in self._plans:
            if plan.carried_out == carried_out and not plan.over and plan.match(call):
                plan.calls.append(call)
                return plan
        return None
