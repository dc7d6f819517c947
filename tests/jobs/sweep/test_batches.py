"""The sweep works in batches: each costs the same few statements, none makes a bot wait, and nothing is left out."""

import itertools
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobEvent, JobKind
from jobs.states import JobStatus, Policy, Verb
from jobs.sweep import batches, result
from jobs.sweep import run as sweep_run
from tests.cast import Lease, bot_named, enqueue_one, make_older, take_one
from tests.race import PATIENCE, racers


def all_sorts(name: str, each: int) -> list[Lease]:
    """Leases of which the sweep gives up some, expires some, flags some and only looks at some; `each` of each sort.

    Every bot has two, at different ages, and every sort its own kind.
    """
    leases = []
    for n in range(each):
        for sort, minutes in (("fail", 7), ("expire", 8), ("flag", 9), ("look", 3)):
            # It takes its own kind alone, and so no job that an earlier sweep gave back.
            kind = f"{sort}.{name}"
            bot = bot_named(f"{name} {sort} {n}", kinds=[kind])
            for more in (0, 0.3):
                lease = take_one(bot, kind=kind)
                make_older(lease, minutes + more + n / 10)
                leases.append(lease)
    JobKind.objects.filter(name=f"fail.{name}").update(when_silent=Policy.FAIL)
    JobKind.objects.filter(name=f"flag.{name}").update(when_silent=Policy.FLAG)
    return leases


@pytest.mark.django_db
def test_a_batch_costs_the_same_few_statements_whatever_it_holds() -> None:
    asked: list[int] = []
    for name, each in (("few", 1), ("many", 6)):
        all_sorts(name, each)
        with CaptureQueriesContext(connection) as queries:
            # Counted when the one batch is done; what comes after it looks at the bots of earlier sweeps, too.
            swept = sweep_run.sweep(each_batch=lambda swept, queries=queries: asked.append(len(queries)))  # type: ignore[misc]
        assert (swept.checked, swept.expired, swept.failed, swept.flagged) == (8 * each, 2 * each, 2 * each, 2 * each)
    assert len(asked) == 2
    assert asked[0] == asked[1] < 30


@pytest.mark.django_db
def test_a_sweep_does_not_read_what_the_jobs_are_about() -> None:
    all_sorts("some", 1)
    with CaptureQueriesContext(connection) as queries:
        sweep_run.sweep()
    read = [query["sql"].split("FROM")[0] for query in queries if query["sql"].startswith("SELECT")]
    assert read
    assert not [sql for sql in read if "payload" in sql or '"result"' in sql or '"error"' in sql]


@pytest.mark.django_db
def test_each_sort_of_lease_meets_what_it_should_in_one_batch() -> None:
    leases = all_sorts("a", 3)
    before = {lease.id: lease.job.deadline_at for lease in leases}
    sweep_run.sweep()
    by_kind: dict[str, set[tuple[str, bool]]] = {}
    for job in Job.objects.filter(pk__in=before):
        put_off = job.deadline_at is not None and job.deadline_at > before[job.pk]
        by_kind.setdefault(job.kind_id.split(".")[0], set()).add((job.status, put_off))
    assert by_kind == {
        "fail": {(JobStatus.FAILED, False)},
        "expire": {(JobStatus.PENDING, False)},
        "flag": {(JobStatus.PROCESSING, True)},
        "look": {(JobStatus.PROCESSING, True)},
    }
    events = JobEvent.objects.values_list("verb", "job__kind").distinct()
    assert set(events) == {(Verb.FAIL, "fail.a"), (Verb.EXPIRE, "expire.a"), (Verb.FLAG, "flag.a")}
    health = {(bot.name.split()[1], bot.health_status, bot.stuck_job_id is None) for bot in Bot.objects.all()}
    assert health == {
        ("fail", "unhealthy", True), ("expire", "unhealthy", True), ("flag", "unhealthy", False),
        ("look", "potentially_stuck", False),
    }  # fmt: skip
    # The worst of a bot's leases is the one that has been silent for longest.
    stuck = Bot.objects.get(name="a look 0")
    assert stuck.stuck_job_id == max(lease.id for lease in leases if lease.bot == stuck)
    assert f"on look.a job {stuck.stuck_job_id}" in stuck.health_reason


@pytest.mark.django_db
def test_a_whole_fleet_that_falls_silent_is_stuck_then_unhealthy_and_well_again(settings: Any) -> None:
    settings.SWEEP_BATCH = 3
    leases = [take_one(bot) for bot in [bot_named(f"bot {n}") for n in range(5)] for _ in range(2)]
    for lease in leases:
        make_older(lease, 3)
    Bot.objects.update(last_seen_at=Now() - settings.BOT_DOWN_AFTER * 2)
    swept = sweep_run.sweep()
    assert (swept.checked, swept.potentially_stuck, swept.unhealthy, swept.down) == (10, 5, 0, 5)
    for lease in leases:
        make_older(lease, 4)
    swept = sweep_run.sweep()
    assert (swept.expired, swept.potentially_stuck, swept.unhealthy, swept.down) == (10, 0, 5, 5)
    for bot in Bot.objects.all():
        lifecycle.see(bot)
    assert set(Bot.objects.values_list("status", "health_status")) == {(BotStatus.IDLE, HealthStatus.NORMAL)}


@pytest.mark.django_db
@pytest.mark.parametrize("listed", [1, 2, 3, 7])
def test_every_due_lease_is_looked_at_once_however_many_are_listed_at_once(
    ada: Bot, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    monkeypatch.setattr(batches, "LEASES_LISTED", listed)
    leases = [take_one(bot_named(f"bot {n}")) for n in range(7)]
    for lease in leases:
        make_older(lease, 7)
    # Some were claimed at the very same moment, as in one big claim.
    at = Job.objects.values_list("deadline_at", flat=True).order_by("deadline_at")[3]
    Job.objects.filter(pk__in=[lease.id for lease in leases[2:6]]).update(deadline_at=at)
    swept = sweep_run.sweep()
    assert (swept.checked, swept.expired) == (7, 7)


@pytest.mark.django_db
def test_a_sweep_names_the_first_of_what_it_did_and_a_dry_run_all_of_it(
    ada: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result, "MAX_ACTIONS", 2)
    for n in range(5):
        make_older(take_one(bot_named(f"bot {n}")), 7)
    foreseen = sweep_run.sweep(dry_run=True)
    assert (len(foreseen.actions), foreseen.unlisted, foreseen.expired) == (5, 0, 5)
    swept = sweep_run.sweep()
    assert (len(swept.actions), swept.unlisted, swept.expired) == (2, 3, 5)


@pytest.mark.django_db(transaction=True)
def test_a_bot_whose_row_is_locked_holds_up_nobody_and_is_swept_the_next_time(
    ada: Bot, bob: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LOCK_TIMEOUT", "50ms")
    hers, his = take_one(ada), take_one(bob)
    for lease in (hers, his):
        make_older(lease, 7)
    with racers() as run, transaction.atomic():
        # A session that somebody forgot: it will not let go of ada while the sweep is there.
        Bot.objects.select_for_update().get(pk=ada.pk)
        assert run.go(sweep_run.sweep).result(PATIENCE).expired == 1
        assert (hers.job.status, his.job.status) == (JobStatus.PROCESSING, JobStatus.PENDING)
    assert sweep_run.sweep().expired == 1
    assert hers.job.status == JobStatus.PENDING


@pytest.mark.django_db(transaction=True)
def test_a_bot_whose_row_was_only_locked_by_a_claim_is_swept_at_the_second_try(ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 7)
    with racers() as run:
        with transaction.atomic():
            Bot.objects.select_for_update(no_key=True).get(pk=ada.pk)
            swept = run.go_and_block(sweep_run.sweep)
        assert swept.result(PATIENCE).expired == 1
    assert lease.job.status == JobStatus.PENDING


@pytest.mark.django_db(transaction=True)
def test_bots_claim_between_the_batches_of_a_sweep(settings: Any) -> None:
    settings.SWEEP_BATCH = 2
    bots = [bot_named(f"bot {n}") for n in range(4)]
    for bot in bots:
        make_older(take_one(bot, max_attempts=1), 7)
    insert.enqueue([NewJob("sum", {}) for _ in range(20)])
    claimed = []
    with racers() as run:

        def all_claim(swept: result.Swept) -> None:
            # The sweep waits here for all of them, so none may wait for the sweep.
            claims: list[Callable[[], Any]] = [lambda bot=bot: lifecycle.claim(bot) for bot in bots]  # type: ignore[misc]
            claimed.extend(job for claim in claims for job in run.go(claim).result(PATIENCE))

        assert sweep_run.sweep(each_batch=all_claim).expired == 4
    assert len(claimed) == 8


@pytest.mark.django_db(transaction=True)
def test_a_job_that_was_reported_after_the_list_was_made_is_left_alone(ada: Bot, bob: Bot, settings: Any) -> None:
    settings.SWEEP_BATCH = settings.SWEEP_WORKERS = 1
    first, second = take_one(ada), take_one(bob)
    for lease in (first, second):
        make_older(lease, 7)

    def report(swept: result.Swept) -> None:
        second.complete(3)

    assert sweep_run.sweep(each_batch=report).expired == 1
    assert (first.job.status, second.job.status) == (JobStatus.PENDING, JobStatus.SUCCEEDED)


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_was_renewed_after_the_list_was_made_is_not_looked_at(ada: Bot, bob: Bot, settings: Any) -> None:
    settings.SWEEP_BATCH = settings.SWEEP_WORKERS = 1
    first, second = take_one(ada), take_one(bob)
    for lease in (first, second):
        make_older(lease, 3)
    renewed: list[Any] = []

    def renew(swept: result.Swept) -> None:
        if not renewed:
            second.heartbeat()
            renewed.append(second.job.deadline_at)

    swept = sweep_run.sweep(each_batch=renew)
    assert (swept.checked, swept.potentially_stuck, swept.recovered) == (1, 1, 0)
    assert [act.job for act in swept.actions] == [first.id]
    assert second.job.deadline_at == renewed[0]


@pytest.mark.django_db(transaction=True)
def test_a_bot_that_calls_after_the_sweep_has_seen_that_it_is_silent_is_not_down(ada: Bot, bob: Bot) -> None:
    lifecycle.see(bob, always=True)
    Bot.objects.filter(pk__in=[ada.pk, bob.pk]).update(last_seen_at=Now() - timedelta(hours=1))
    called: list[str] = []

    def call_first(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        # Ada is on the sweep's list by now; whatever it is about to do with her row comes after her call.
        if not called and "bots_bot" in sql and "UPDATE" in sql:
            called.append(sql)
            run.go(lambda: lifecycle.see(ada, always=True)).result(PATIENCE)
        return execute(sql, params, many, context)

    with racers() as run, connection.execute_wrapper(call_first):
        assert sweep_run.sweep().down == 1
    assert len(called) == 1
    assert {bot.name: bot.status for bot in Bot.objects.all()} == {"ada": BotStatus.IDLE, "bob": BotStatus.DOWN}


@pytest.mark.django_db(transaction=True)
def test_batches_are_done_several_at_a_time(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SWEEP_BATCH, settings.SWEEP_WORKERS = 2, 3
    leases = all_sorts("some", 3)
    together = threading.Barrier(3)
    do = batches._sweep_batch

    def do_when_three_are_here(swept: result.Swept, batch: list[batches.Due], **how: Any) -> list[batches.Due]:
        together.wait(PATIENCE)
        return do(swept, batch, **how)

    monkeypatch.setattr(batches, "_sweep_batch", do_when_three_are_here)
    seen: list[int] = []
    swept = sweep_run.sweep(each_batch=lambda swept: seen.append(swept.checked))
    assert (swept.checked, swept.expired, swept.failed, swept.flagged) == (24, 6, 6, 6)
    assert seen == list(range(2, 25, 2))
    # 18 are past a limit by which something is done; those only looked at are named, too.
    assert [act.job for act in swept.actions if act.job] == sorted(lease.id for lease in leases)
    assert JobEvent.objects.filter(verb=Verb.EXPIRE).count() == 6


@pytest.mark.django_db(transaction=True)
def test_what_goes_wrong_in_one_batch_ends_the_sweep_and_takes_back_nothing_else(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SWEEP_BATCH, settings.SWEEP_WORKERS = 1, 2
    all_sorts("some", 3)
    act, calls = batches._act, itertools.count()

    def act_twice(*given: Any) -> None:
        act(*given)
        if next(calls) == 2:
            raise OSError("no space left")

    monkeypatch.setattr(batches, "_act", act_twice)
    with pytest.raises(OSError, match="no space left"):
        sweep_run.sweep()
    assert 2 <= Job.objects.held().filter(deadline_at__lte=Now()).count() <= 22


@pytest.mark.django_db
def test_other_jobs_of_an_expired_ones_bot_do_not_hide_that_it_can_be_claimed(ada: Bot, bob: Bot) -> None:
    lost, kept = take_one(ada), take_one(ada)
    make_older(lost, 7)
    sweep_run.sweep()
    ada.refresh_from_db()
    # Its worst job now is one in order.
    assert (ada.status, ada.health_status, ada.stuck_job_id) == (BotStatus.BUSY, HealthStatus.NORMAL, None)
    assert kept.job.claimed_by == ada
    enqueue_one(priority=-1)
    assert [job.id for job in lifecycle.claim(bob)] == [lost.id]
