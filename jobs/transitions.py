"""The transitions of a job: for each verb and actor, from which states, into which, and what it is called. Pure.

The lifecycle's statements, the API's refusals, the admin's actions, the model's permissions, explain, the timeline, the
notes of incidents and the statistics read this table, and a test compares `docs/lifecycle.md` with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from jobs.errors import NotAcceptable, NotCancellable, NotEditable, NotReleasable, NotRetryable, NotTakenBack
from jobs.states import HELD, UNFINISHED, Actor, JobStatus, Verb
from jobsite.lib.errors import Invalid, JobsiteError


class Routine(StrEnum):
    """The verbs of an attempt that goes well. They leave no `JobEvent`."""

    CLAIM = "claim"
    START = "start"
    HEARTBEAT = "heartbeat"
    COMPLETE = "complete"


class Counted(StrEnum):
    """Whether an attempt is one of the job's `max_attempts`."""

    UNCHANGED = ""
    OPENS = "opens an attempt"
    YES = "yes"
    NO = "no"
    RESET = "starts afresh"


class Outcome(StrEnum):
    """How a lease ended, as the statistics count it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"
    HANDED_BACK = "handed_back"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Transition:
    """One verb by one actor. No `targets`: the status stays. `outcome`: the lease ends so, if the job is held.

    `past` is used of jobs: `Job 7 was released`, `Released 3 jobs`; `subject` is what of a job the verb is about.
    `look` is the family of colour and icon that shows it.
    """

    verb: Verb | Routine
    actor: Actor
    sources: tuple[JobStatus, ...]
    targets: tuple[JobStatus, ...]
    counted: Counted
    past: str
    look: str
    outcome: Outcome | None = None
    subject: str = ""

    @property
    def done(self) -> str:
        """What was done, as the start of a sentence: `released`, `accepted the late result of`."""
        return f"{self.past} the {self.subject}" if self.subject else self.past


@dataclass(frozen=True, kw_only=True)
class Operation(Transition):
    """A verb as operators have it: its button, what the permission grants, and why and how it is refused."""

    label: str
    grants: str
    rule: str
    refusal: type[JobsiteError] = Invalid

    @property
    def permission(self) -> str:
        return f"jobs.{self.verb}_job"


_PENDING, _CLAIMED, _PROCESSING, _SUCCEEDED, _FAILED, _CANCELLED = JobStatus
_BOT, _OPERATOR, _SWEEP = Actor.BOT, Actor.OPERATOR, Actor.SWEEP

TABLE: tuple[Transition, ...] = (
    Transition(
        Routine.CLAIM, _BOT, (_PENDING,), (_PROCESSING, _CLAIMED), Counted.OPENS, "claimed", "work",
    ),
    Transition(
        Routine.START, _BOT, HELD, (_PROCESSING,), Counted.UNCHANGED, "started", "work",
    ),
    Transition(
        Routine.HEARTBEAT, _BOT, HELD, (), Counted.UNCHANGED, "renewed", "work",
    ),
    Transition(
        Routine.COMPLETE, _BOT, HELD, (_SUCCEEDED,), Counted.YES, "completed", "good", Outcome.SUCCEEDED,
    ),
    Transition(
        Verb.FAIL, _BOT, HELD, (_PENDING, _FAILED), Counted.YES, "failed", "bad", Outcome.FAILED,
    ),
    # The kind's policy: there is no next attempt.
    Transition(
        Verb.FAIL, _SWEEP, HELD, (_FAILED,), Counted.YES, "failed", "bad", Outcome.EXPIRED,
    ),
    Operation(
        Verb.RELEASE, _OPERATOR, HELD, (_PENDING,), Counted.NO, "released", "warn", Outcome.RELEASED,
        label="Release", grants="release a job",
        rule="only a claimed or processing job can be released", refusal=NotReleasable,
    ),
    # A bot hands its job back.
    Transition(
        Verb.RELEASE, _BOT, HELD, (_PENDING,), Counted.NO, "released", "warn", Outcome.HANDED_BACK,
    ),
    # The bot wants it later.
    Transition(
        Verb.DEFER, _BOT, HELD, (_PENDING,), Counted.NO, "deferred", "wait", Outcome.HANDED_BACK,
    ),
    Transition(
        Verb.EXPIRE, _SWEEP, HELD, (_PENDING, _FAILED), Counted.YES, "expired", "bad", Outcome.EXPIRED,
    ),
    Operation(
        Verb.RETRY, _OPERATOR, (_FAILED, _CANCELLED), (_PENDING,), Counted.RESET, "retried", "wait",
        label="Retry", grants="retry a job",
        rule="only a failed or cancelled job can be retried", refusal=NotRetryable,
    ),
    Operation(
        Verb.CANCEL, _OPERATOR, UNFINISHED, (_CANCELLED,), Counted.YES, "cancelled", "wait", Outcome.CANCELLED,
        label="Cancel", grants="cancel a job",
        rule="only a job that has not ended can be cancelled", refusal=NotCancellable,
    ),
    Operation(
        Verb.ACCEPT, _OPERATOR, (_PENDING,), (_SUCCEEDED,), Counted.UNCHANGED, "accepted", "good",
        subject="late result of", label="Accept late result", grants="accept a late result",
        rule="only a pending job with a late result can accept it", refusal=NotAcceptable,
    ),
    Operation(
        Verb.PRIORITISE, _OPERATOR, UNFINISHED, (), Counted.UNCHANGED, "prioritised", "wait",
        label="Change priority", grants="change a job's priority",
        rule="only a job that has not ended can be prioritised",
    ),
    Operation(
        Verb.EDIT, _OPERATOR, (_PENDING,), (), Counted.UNCHANGED, "edited", "wait",
        label="Edit", grants="edit a pending job",
        rule="only a pending job can be edited", refusal=NotEditable,
    ),
    # A cancel of what nobody held, or a change of priority.
    Operation(
        Verb.TAKE_BACK, _OPERATOR, (_PENDING, _CANCELLED), (_PENDING,), Counted.UNCHANGED, "taken back", "wait",
        label="Take back", grants="take back what was done to jobs",
        rule="only within 24 hours, and of jobs to which nothing was done since", refusal=NotTakenBack,
    ),
    # A producer sends a job again that nobody has had yet, and that keeps its key only until then.
    Transition(
        Verb.REPLACE, _OPERATOR, (_PENDING,), (), Counted.UNCHANGED, "replaced", "wait",
    ),
    # Nobody has begun it by the moment after which nobody wants it.
    Transition(
        Verb.DROP, _SWEEP, (_PENDING,), (_CANCELLED,), Counted.UNCHANGED, "dropped", "wait",
    ),
    Transition(
        Verb.FLAG, _SWEEP, HELD, (), Counted.UNCHANGED, "flagged", "warn",
    ),
    Transition(
        Verb.LATE, _BOT, tuple(JobStatus), (), Counted.UNCHANGED, "reported late", "warn",
    ),
)  # fmt: skip

#: What operators do, by the verb's name.
OPERATIONS = {str(t.verb): t for t in TABLE if isinstance(t, Operation)}


def rows(verb: str) -> list[Transition]:
    """The rows of a verb, one for each actor."""
    return [t for t in TABLE if t.verb == verb]


def sources(verb: str) -> list[JobStatus]:
    """The states in which a verb finds a job. The same for all actors."""
    return _in_order(status for t in rows(verb) for status in t.sources)


def targets(verb: str) -> list[JobStatus]:
    """The states into which a verb brings a job. Empty: it stays in its own."""
    return _in_order(status for t in rows(verb) for status in t.targets)


def past(verb: str) -> str:
    """The past tense of a verb. The same for all actors."""
    return rows(verb)[0].past


def done(verb: str) -> str:
    """What a verb did to a job, before the word job. The same for all actors."""
    return rows(verb)[0].done


def outcome(verb: str, actor: str) -> Outcome | None:
    """How the lease ended that this actor ended with this verb; None where no lease ends."""
    return next((t.outcome for t in rows(verb) if t.actor == actor), None)


def _in_order(statuses: Iterable[JobStatus]) -> list[JobStatus]:
    chosen = set(statuses)
    return [status for status in JobStatus if status in chosen]


def _events(chosen: Iterable[Transition]) -> tuple[Verb, ...]:
    verbs = {t.verb for t in chosen}
    return tuple(verb for verb in Verb if verb in verbs)


#: What ends a lease other than well; each has a `JobEvent`.
ENDING = _events(t for t in TABLE if t.outcome is not None)
#: What the statistics add up: that, and what ends a job that nobody holds.
ADDED_UP = (*ENDING, Verb.DROP)
#: What makes a job pending again.
REOPENING = _events(t for t in TABLE if _PENDING in t.targets)
#: What operators and the sweep do that moves a job; a bot's reports are its own.
INTERVENING = _events(t for t in TABLE if t.targets and t.actor != _BOT)
