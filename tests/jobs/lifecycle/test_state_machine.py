"""Whatever bots, operators and the sweep do in whatever order, jobs are as a small model of the lifecycle says."""

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from bots.models import Bot
from jobs import attempts, lifecycle
from jobs.lifecycle import SWEEP, By
from jobs.models import Job, JobKind
from tests.cast import Lease, bot_named, enqueue_one

HELD, ENDED = ("claimed", "processing"), ("succeeded", "failed", "cancelled")
NUMBERS = itertools.count(1)


@dataclass
class Model:
    """A job as it must be."""

    max_attempts: int
    status: str = "pending"
    attempt: int = 0
    used: int = 0
    holder: int | None = None
    #: What ended each attempt, where a bot did.
    reported: dict[int, str] = field(default_factory=dict)

    def give_back(self, *, counted: bool) -> None:
        self.holder, self.used = None, self.used + counted
        self.status = "failed" if counted and self.used >= self.max_attempts else "pending"

    def end(self, status: str) -> None:
        self.status, self.holder = status, None


class Lifecycle(RuleBasedStateMachine):
    jobs, leases = Bundle("jobs"), Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        number = next(NUMBERS)
        self.kind = f"machine-{number}"
        JobKind.objects.create(name=self.kind, backoff=timedelta(0))
        self.bots = [bot_named(f"{self.kind}-{name}", kinds=[self.kind]) for name in ("ada", "bob")]
        self.operator = By.operator(User(username="olga"))
        self.models: dict[int, Model] = {}

    # --- What happens -----

    @rule(target=jobs, max_attempts=st.integers(1, 3))
    def enqueue(self, max_attempts: int) -> int:
        pk = enqueue_one(kind=self.kind, max_attempts=max_attempts).pk
        self.models[pk] = Model(max_attempts)
        return pk

    @rule(target=leases, who=st.integers(0, 1), limit=st.integers(1, 3), start=st.booleans())
    def claim(self, who: int, limit: int, start: bool) -> Any:
        bot = self.bots[who]
        claimed = lifecycle.claim(bot, limit=limit, start=start)
        pending = [pk for pk, model in self.models.items() if model.status == "pending"]
        assert {job.id for job in claimed} <= set(pending)
        assert len(claimed) == min(limit, len(pending))
        for job in claimed:
            model = self.models[job.id]
            model.attempt += 1
            assert attempts.number(job.attempt) == model.attempt
            model.status, model.holder = ("processing" if start else "claimed"), bot.pk
        return multiple(*[Lease(bot, job.id, job.attempt) for job in claimed])

    @rule(lease=leases, verb=st.sampled_from(["start", "heartbeat", "complete", "fail", "give up", "hand_back"]))
    def report(self, lease: Lease, verb: str) -> None:
        outcome = lease.fail(retry=False) if verb == "give up" else getattr(lease, verb)()
        model, number = self.models[lease.id], attempts.number(lease.attempt)
        if not (model.holder == lease.bot.pk and model.attempt == number):
            repeated = model.reported.get(number) == verb and verb in ("complete", "fail", "give up", "hand_back")
            assert repeated or outcome.accepted == [], (verb, model)
            return
        assert outcome.accepted == [lease.id]
        if verb in ("complete", "fail", "give up", "hand_back"):
            model.reported[number] = verb
        if verb == "heartbeat":
            return
        if verb == "start":
            model.status = "processing"
        elif verb == "complete":
            model.end("succeeded")
        elif verb == "give up":
            model.used += 1
            model.end("failed")
        else:
            model.give_back(counted=verb == "fail")

    @rule(pk=jobs, verb=st.sampled_from(["release", "cancel", "retry"]))
    def intervene(self, pk: int, verb: str) -> None:
        changes = getattr(lifecycle, verb)([pk], by=self.operator, reason="why")
        model = self.models[pk]
        able = {"release": HELD, "cancel": ("pending", *HELD), "retry": ("failed", "cancelled")}[verb]
        assert [change.id for change in changes] == ([pk] if model.status in able else [])
        if not changes:
            return
        if verb == "release":
            model.give_back(counted=False)
        elif verb == "cancel":
            model.end("cancelled")
        else:
            model.status, model.used = "pending", 0

    @rule(pk=jobs)
    def expire(self, pk: int) -> None:
        changes = lifecycle.expire([pk], by=SWEEP, reasons={pk: "silent"})
        model = self.models[pk]
        assert bool(changes) == (model.status in HELD)
        if changes:
            model.give_back(counted=True)

    # --- What must hold -----

    @invariant()
    def the_rows_are_those_of_the_model(self) -> None:
        rows = {job.pk: job for job in Job.objects.filter(kind=self.kind)}
        assert set(rows) == set(self.models)
        for pk, model in self.models.items():
            job = rows[pk]
            found = (job.status, attempts.number(job.attempt) if job.attempt else 0, job.claimed_by_id)
            assert found == (model.status, model.attempt, model.holder), (pk, model)
            assert (job.finished_at is not None) == (model.status in ENDED)

    @invariant()
    def a_bot_is_busy_while_it_holds_a_job(self) -> None:
        holders = {model.holder for model in self.models.values()}
        for pk, status in Bot.objects.filter(pk__in=[bot.pk for bot in self.bots]).values_list("pk", "status"):
            assert status == ("busy" if pk in holders else "idle")


@pytest.mark.django_db
def test_the_lifecycle_does_as_the_model_says() -> None:
    # A failure is printed as it was found: to make it smaller takes minutes, since each step asks the database.
    phases = (Phase.explicit, Phase.generate)
    how = settings(
        max_examples=12, stateful_step_count=25, deadline=None, derandomize=True, database=None, phases=phases
    )
    run_state_machine_as_test(Lifecycle, settings=how)
