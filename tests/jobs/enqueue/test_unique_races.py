"""Sixteen producers want one key at once, while bots take the job that has it. Each mode holds what it says."""

import threading
from collections import Counter

import pytest
from django.db import connection

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import Report
from jobs.models import Job, JobEvent, JobKind
from jobs.states import Added
from tests.cast import bot_named
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCERS, ROUNDS = 16, 4
WAYS = [
    ("always", "keep", False), ("unfinished", "keep", False), ("pending", "keep", False), ("pending", "replace", False),
    ("always", "keep", True), ("pending", "replace", True),
]  # fmt: skip


@pytest.mark.parametrize(("unique", "on_conflict", "copied"), WAYS)
def test_a_key_has_one_job_whoever_wins(
    monkeypatch: pytest.MonkeyPatch, unique: str, on_conflict: str, copied: bool
) -> None:
    if copied:
        monkeypatch.setattr(insert, "COPY_FROM", 0)
    JobKind.objects.create(name="sum")
    ready, became, ends = threading.Barrier(PRODUCERS + 1), Counter[Added](), threading.Event()
    lock = threading.Lock()

    def produce(n: int) -> None:
        ready.wait(PATIENCE)
        for i in range(ROUNDS):
            new = NewJob("sum", [n, i], key="k", unique=unique, on_conflict=on_conflict)
            added = insert.enqueue([new])[0][1] if copied else insert.enqueue_one(new)[1]
            with lock:
                became[added] += 1

    def work(bot: Bot) -> int:
        done = 0
        ready.wait(PATIENCE)
        while not ends.is_set():
            for claimed in lifecycle.claim(bot):
                lifecycle.complete([Report(claimed.id, claimed.attempt)], by=lifecycle.By.bot(bot))
                done += 1
        return done

    ada = bot_named("ada")
    with racers(PRODUCERS + 1) as run:
        bot = run.go(lambda: work(ada))
        producers = [run.go(lambda n=n: produce(n)) for n in range(PRODUCERS)]  # type: ignore[misc]
        for future in producers:
            future.result(PATIENCE * 2)
        ends.set()
        bot.result(PATIENCE)
    made = Job.objects.count()
    assert became.total() == PRODUCERS * ROUNDS
    assert became[Added.CREATED] == made
    assert made == 1 if unique == "always" else made >= 1
    assert JobEvent.objects.filter(verb="replace").count() == became[Added.REPLACED]
    assert (became[Added.REPLACED] > 0) <= (on_conflict == "replace")
    with connection.cursor() as cursor:
        # At most one has the key: that a job has ended is seen at once, and nobody waits for it.
        cursor.execute("SELECT count(*) FROM jobs_job WHERE status = 'pending'")
        assert cursor.fetchone()[0] <= 1
