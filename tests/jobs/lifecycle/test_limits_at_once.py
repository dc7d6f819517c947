"""Sixteen clients whose connections are cut, leases that expire and are released, changed limits: never too many.

By the leases themselves, as the rows and the events have them. `make test-all` takes more jobs.
"""

import itertools
import os
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, InterfaceError, connection, connections

from bench.leases import LEASES, Limit, most_started, too_many_held
from bench.leases import Lease as Leased
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import gates
from jobs.models import Job, JobKind
from jobs.states import FINISHED
from jobs.sweep import run
from jobsite.lib.clock import database_now
from jobsite.lib.errors import Unavailable
from tests.cast import Lease, bot_named

CLIENTS, JOBS = 16, int(os.environ.get("CHAOS_JOBS", 400))
KINDS = ("few", "grouped")
GROUPS = ("", "a", "b", "c")
#: Seconds after which something is wrong. It takes a fraction of this: a hundred jobs a second and more.
PATIENCE = 60 + JOBS / 20


class Client:
    """One client on a connection of its own. Every other one asks for the kinds in the opposite order."""

    def __init__(self, n):
        self.bot, self.kinds = bot_named(f"bot-{n}"), KINDS if n % 2 else KINDS[::-1]
        self.random, self.claims, self.faults = random.Random(n), 0, []

    def work(self, over):
        try:
            while not over.is_set():
                with suppress(DatabaseError, InterfaceError, Unavailable):
                    self.turn(over)
                # Perhaps its connection was cut.
                connections.close_all()
        except Exception as fault:
            self.faults.append(fault)

    def turn(self, over):
        for _ in range(20):
            leases = [Lease(self.bot, job.id, job.attempt) for job in self.claim()]
            self.claims += len(leases)
            if not leases:
                over.wait(0.02)
            for lease in leases:
                # A few are left, and expire.
                (end,) = self.random.choices(ENDS, WEIGHTS)
                end(lease)

    def claim(self):
        return lifecycle.claim(self.bot, limit=self.random.choice((1, 2, 5)), kinds=self.kinds)


ENDS = (Lease.complete, Lease.fail, Lease.hand_back, lambda lease: None)
WEIGHTS = (70, 15, 13, 2)
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' ORDER BY random() LIMIT 1
"""


class Limits:
    """The limits, and when each was in force."""

    def __init__(self):
        self.of_kind, self.of_group = [], []

    def set(self, held, per_group):
        before = database_now()
        JobKind.objects.filter(name="few").update(max_held=held)
        JobKind.objects.filter(name="grouped").update(max_held_per_group=per_group)
        # It locks the gates: who claims by the old limits has ended.
        gates.limits_changed(KINDS)
        after = database_now()
        self.of_kind.append(Limit(before, after, held))
        self.of_group.append(Limit(before, after, per_group))


@pytest.mark.timeout(PATIENCE + 50)
def test_there_are_never_more_leases_than_the_limits_allow(transactional_db):
    for kind in KINDS:
        JobKind.objects.create(
            name=kind, heartbeat_within=timedelta(seconds=0.1), backoff=timedelta(0), max_attempts=999
        )
    limits, deadlocks = Limits(), counted_deadlocks()
    limits.set(3, 2)
    insert.enqueue([NewJob(KINDS[n % 2], {}, group=GROUPS[n // 2 % 4] if n % 2 else "") for n in range(JOBS)])
    clients, over, until = [Client(n) for n in range(CLIENTS)], threading.Event(), time.monotonic() + PATIENCE
    threads = [threading.Thread(target=client.work, args=[over]) for client in clients]
    for thread in threads:
        thread.start()
    try:
        for n in itertools.count():
            assert time.monotonic() < until, Counter(Job.objects.values_list("kind", "group_name", "status"))
            if not Job.objects.exclude(status__in=FINISHED).exists():
                break
            disturb(n, limits)
            over.wait(0.05)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert counted_deadlocks() == deadlocks
    assert [fault for client in clients for fault in client.faults] == []
    check(limits, sum(client.claims for client in clients))


def counted_deadlocks():
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


def disturb(n, limits):
    """Sweep, release a lease, change the limits and cut a connection, now and then."""
    run.sweep()
    if n % 3 == 0:
        lifecycle.release(Job.objects.held().values_list("pk", flat=True)[:1], by=lifecycle.SWEEP)
    if n % 4 == 0:
        limits.set(random.randint(1, 8), random.randint(1, 4))
    if n % 5 == 0:
        with connection.cursor() as cursor:
            cursor.execute(CUT)


def check(limits, claims):
    """Compare the leases with the limits."""
    with connection.cursor() as cursor:
        cursor.execute(LEASES)
        leases = [Leased(*row) for row in cursor.fetchall()]
    # Those that were given on a connection that was cut are known to nobody.
    assert len(leases) >= claims > JOBS
    assert too_many_held((of for of in leases if of.kind == "few"), limits.of_kind, lambda of: of.kind) == []
    grouped = (of for of in leases if of.kind == "grouped" and of.group)
    assert too_many_held(grouped, limits.of_group, lambda of: of.group) == []


def test_the_checker_sees_what_is_too_much():
    now = datetime(2026, 11, 27, tzinfo=UTC)

    def lease(began, ended):
        of = [None if at is None else now + timedelta(seconds=at) for at in (began, ended)]
        return Leased("sum", "", 1, *of)

    limits = [Limit(now, now, 2), Limit(now + timedelta(seconds=5), now + timedelta(seconds=6), 1)]
    fine = [lease(0, 2), lease(1, None), lease(2, 3)]
    assert too_many_held(fine, limits, lambda of: of.kind) == []
    assert [held for _, held, _ in too_many_held([*fine, lease(1.5, 4)], limits, lambda of: of.kind)] == [3, 3]
    assert [held for _, held, _ in too_many_held([*fine, lease(7, 8)], limits, lambda of: of.kind)] == [2]
    assert most_started([lease(at, None) for at in (0, 0.4, 1, 1.3, 2)], timedelta(seconds=1)) == 3
