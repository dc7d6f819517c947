"""Seed a bad night (`manage.py seed --night`): an outage of a size that an operator has to work through.

Ten kinds hang on 97 bots of 203, 10 400 jobs are pending, and 79 have failed with two different errors. Weeks of
history are behind it. Leases, failures and grades come from the lifecycle's verbs and a sweep.
"""

import random
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import islice

from django.db import connection
from django.utils import timezone

from alerts.incidents import reconcile
from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import By, Report
from jobs.models import JobKind
from jobs.states import Policy
from jobs.sweep import run
from jobsite.dev import seeding
from jobsite.dev.seeding import Kind

#: All of them hang. What failed before tonight was retried and done.
KINDS = {name: kind._replace(failing=0) for name, kind in seeding.KINDS.items()} | {
    "crawl": Kind(120, 3.0, 0.7, 0.25, 0),
    "feed.poll": Kind(60, 0.8, 0.5, 0.10, 0),
}
#: Bots by the first part of their names.
TEAMS = {"crawler": 60, "render-eu-west": 40, "transcode-gpu": 33, "mail-out": 30, "batch-night": 40}
#: How many jobs of each kind hang, each on a bot of its own.
STUCK = {
    "crawl": 40, "invoice.render": 12, "mail.send": 10, "image.resize": 8, "report.build": 7, "video.transcode": 6,
    "crm.sync": 5, "search.index": 4, "backup.verify": 3, "feed.poll": 2,
}  # fmt: skip
#: How many jobs of each kind are pending, some of them for later. Those that bots lose are pending as well.
PENDING = {
    "crawl": 6400, "invoice.render": 1500, "mail.send": 900, "image.resize": 700, "report.build": 300,
    "video.transcode": 150, "crm.sync": 200, "search.index": 150, "backup.verify": 40, "feed.poll": 54,
}  # fmt: skip
LATER, BUSY, AWAY, PAUSED = 400, 60, 6, 3
#: How many failed of which kind, and why.
FAILED = (
    ("crawl", 52, "http/session.py", "http.errors.Timeout: no answer from https://shop-{n}.example.com within 30 s"),
    ("invoice.render", 27, "render/totals.py", "KeyError: 'vat_rate' of customer {n}"),
)
HISTORY = timedelta(days=21)
INSTANCE, SLOTS = "night", 4


def seed(rows: int, advance: Callable[[int], None]) -> int:
    """Write `rows` finished jobs of three weeks, and the night. Returns how many bots it has.

    `advance` is called after each batch with its number of rows.
    """
    dice = random.Random(11)  # noqa: S311  believable, not secret
    seeding.make_kinds(KINDS)
    fleet = _fleet()
    with seeding.counted_late(HISTORY):
        seeding.write_past(rows, KINDS, [bot.pk for bot in fleet], HISTORY, advance)
        _fail(fleet[-1])
    free = iter(fleet)
    _take((bot, ("report.build", "crawl", "image.resize")[bot.pk % 3]) for bot in islice(reversed(fleet), BUSY))
    with connection.cursor() as cursor:
        cursor.execute(seeding.LIVE)
    hung = _take((bot, kind) for kind, most in STUCK.items() for bot in islice(free, most))
    _wait(dice)
    _lose(list(islice(free, AWAY)), "feed.poll")
    minutes = {job: dice.uniform(6, 9) for job in hung}
    seeding.make_older(minutes)
    silent = {hung[job].pk: ago for job, ago in minutes.items()} | {bot.pk: 25.0 for bot in islice(free, AWAY)}
    with connection.cursor() as cursor:
        cursor.execute(UNSEEN, {"bots": list(silent), "minutes": list(silent.values())})
    roster.pause(Bot.objects.filter(pk__in=[bot.pk for bot in islice(free, PAUSED)]), reason="new disks")
    JobKind.objects.filter(name="search.index").update(paused=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")
    seeding.write_backlog(HISTORY)
    run.sweep()
    reconcile.reconcile()
    return len(fleet)


def _fleet() -> list[Bot]:
    names = [f"{team}-{n:03}" for team, most in TEAMS.items() for n in range(1, most + 1)]
    with connection.cursor() as cursor:
        cursor.execute(FLEET, {"names": names, "slots": SLOTS})
    found = {bot.name: bot for bot in Bot.objects.filter(name__in=names)}
    return [found[name] for name in names]


def _take(wanted: Iterable[tuple[Bot, str]]) -> dict[int, Bot]:
    """Let each bot take a new job of this kind, before all others. Returns the bots by their jobs."""
    pairs = list(wanted)
    insert.enqueue([NewJob(kind, _payload(kind, n), 1000) for n, (_, kind) in enumerate(pairs)])
    taken = [(bot, lifecycle.claim(bot, kinds=[kind], instance=INSTANCE)) for bot, kind in pairs]
    return {job.id: bot for bot, jobs in taken for job in jobs}


def _lose(bots: list[Bot], kind: str) -> None:
    """Let these bots go silent with a job that then goes back to the queue."""
    JobKind.objects.filter(name=kind).update(when_silent=Policy.RELEASE, when_overdue=Policy.RELEASE)
    seeding.make_older(dict.fromkeys(_take((bot, kind) for bot in bots), 20))
    run.sweep(kind=kind)
    JobKind.objects.filter(name=kind).update(when_silent=Policy.FLAG, when_overdue=Policy.FLAG)


def _fail(bot: Bot) -> None:
    ids: list[int] = []
    for kind, most, file, error in FAILED:
        insert.enqueue([NewJob(kind, _payload(kind, n), 1000) for n in range(most)])
        text = f'Traceback (most recent call last):\n  File "{file}", line 88, in run\n{error}'
        reports = [
            Report(job.id, job.attempt, error=text.format(n=job.id % 90), retry=False)
            for job in lifecycle.claim(bot, limit=most, kinds=[kind], instance=INSTANCE)
        ]
        lifecycle.fail(reports, by=By.bot(bot))
        ids += [report.id for report in reports]
    with connection.cursor() as cursor:
        cursor.execute(EARLIER, {"ids": ids})


def _wait(dice: random.Random) -> None:
    now = timezone.now()
    new = [NewJob(kind, _payload(kind, n)) for kind, most in PENDING.items() for n in range(most)]
    new = dice.sample(new, len(new))
    later = [job._replace(run_at=now + timedelta(minutes=dice.randint(5, 600))) for job in new[-LATER:]]
    added = insert.enqueue(new[:-LATER] + later)
    with connection.cursor() as cursor:
        cursor.execute(WAITING, {"ids": [pk for pk, _ in added[:-LATER]]})


def _payload(kind: str, n: int) -> dict[str, object]:
    customer = f"cust-{n * 7 % 900 + 1}"
    if kind in ("crawl", "feed.poll"):
        return {"url": f"https://shop-{n * 7 % 90}.example.com/p/{n}", "customer": customer}
    return {"customer": customer, "document": f"doc-{n}"}


#: Bots with a process each, as if each had called hello.
FLEET = """
    WITH new AS (
        INSERT INTO bots_bot (name, kinds, capacity, last_seen_at, version, instance, token_prefix)
        SELECT name, '{}', NULL, statement_timestamp(), CASE WHEN n %% 7 = 0 THEN '4.3.0-rc1' ELSE '4.2.0' END,
               'night', 'jsb_seeded'
        FROM unnest(%(names)s::text[]) WITH ORDINALITY AS named(name, n)
        ON CONFLICT (name) DO NOTHING
        RETURNING id, name, version
    )
    INSERT INTO bots_instance (bot_id, name, host, version, slots, slots_lost)
    SELECT id, 'night', name || '.example.net', version, %(slots)s, 0 FROM new
"""
#: What failed tonight ended one after the other in the last two hours.
EARLIER = """
    WITH job AS (
        UPDATE jobs_job
        SET created_at = created_at - earlier, run_at = run_at - earlier, claimed_at = claimed_at - earlier,
            started_at = started_at - earlier, finished_at = finished_at - earlier
        FROM (SELECT id AS failed, row_number() OVER (ORDER BY id DESC) * interval '90 seconds' AS earlier
              FROM unnest(%(ids)s::bigint[]) AS id) AS e
        WHERE id = failed
        RETURNING id, finished_at
    )
    UPDATE jobs_jobevent SET at = job.finished_at FROM job WHERE job_id = job.id AND verb = 'fail'
"""
#: What is pending was enqueued one after the other in the last three hours.
WAITING = """
    UPDATE jobs_job
    SET created_at = created_at - earlier, run_at = run_at - earlier
    FROM (SELECT id AS waiting, row_number() OVER (ORDER BY id DESC) * interval '1 second' AS earlier
          FROM unnest(%(ids)s::bigint[]) AS id) AS e
    WHERE id = waiting
"""
UNSEEN = """
    UPDATE bots_bot SET last_seen_at = statement_timestamp() - ago.minutes * interval '1 minute'
    FROM unnest(%(bots)s::bigint[], %(minutes)s::float8[]) AS ago(bot, minutes)
    WHERE id = ago.bot
"""
