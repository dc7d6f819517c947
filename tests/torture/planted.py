"""A true story in logs and rows, made with the lifecycle itself, for the tests to plant violations in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connection

from jobs import lifecycle
from jobs.models import Job
from tests.cast import Lease, bot_named, enqueue_one
from tests.torture import checker, journal, rows
from tests.torture.checker import Evidence, Violation
from tests.torture.journal import Lost


class Log:
    """A caller's log. Each call takes a second, and begins when the one before has ended."""

    def __init__(self, directory: Path) -> None:
        self._path, self._n = directory / "all.jsonl", 0

    def call(self, who: str, path: str, sent: Any, status: int = 200, answer: Any = None) -> None:
        """A call and its answer; status 0: there is none."""
        self._n += 1
        lines: list[dict[str, Any]] = [{"who": who, "call": path, "sent": sent}]
        lines.append({"status": status, "answer": answer} if status else {"lost": "ConnectionError()"})
        with self._path.open("a") as file:
            for second, line in enumerate(lines):
                file.write(json.dumps({"n": self._n, "at": 10.0 * self._n + second} | line) + "\n")

    def added(self, op: str, ids: list[int], status: int = 201, *, n: int = 0, keyed: bool = False) -> None:
        """A bulk call for `n` jobs."""
        jobs: list[dict[str, Any]] = [{"kind": "sum", "payload": {"op": op, "i": i}} for i in range(n or len(ids))]
        for i, job in enumerate(jobs) if keyed else ():
            job["key"] = f"{op}.{i}"
        self.call("producer", "/jobs/bulk", {"jobs": jobs}, status, {"ids": ids})

    def given(self, bot: str, job: int, attempt: int) -> None:
        """A claim that was answered with this lease."""
        self.call(bot, "/claim", {"limit": 1}, answer={"jobs": [{"id": job, "attempt": attempt}]})

    def reported(self, bot: str, verb: str, job: int, attempt: int, status: int = 200, **body: Any) -> None:
        """A report with a call of its own."""
        answer = {"code": {409: "lease_lost", 503: "unavailable"}.get(status, "")}
        self.call(bot, f"/jobs/{job}/{verb}", {"attempt": attempt} | body, status, answer)


class Story:
    """Ada failed a job once and completed it then; another one is pending, and Bob holds a third."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.log = directory, Log(directory)
        self.ada, self.bob = bot_named("ada"), bot_named("bob")
        jobs = [enqueue_one(payload={"op": "one", "i": i}, priority=-i) for i in range(3)]
        self.done, self.held, self.pending = (job.pk for job in jobs)
        self.log.added("one", [job.pk for job in jobs])
        first = self.take(self.ada)
        first.fail()
        self.log.reported("ada", "fail", self.done, first.attempt, error="it broke")
        Job.objects.filter(pk=self.done).update(run_at="2026-01-01T00:00Z")
        self.second = self.take(self.ada)
        self.second.complete({"lease": 2})
        self.log.reported("ada", "complete", self.done, self.second.attempt, result={"lease": 2})
        self.lease = self.take(self.bob)

    def take(self, bot: Any) -> Lease:
        """The bot claims the first job, and logs it."""
        (job,) = lifecycle.claim(bot)
        self.log.given(bot.name, job.id, job.attempt)
        return Lease(bot, job.id, job.attempt)

    def evidence(self, *restores: Lost) -> Evidence:
        """The logs and rows as they are now."""
        calls = journal.read(self.directory.glob("*.jsonl"), restores)
        return Evidence(calls, journal.facts(calls), rows.read(raw()), "olga")

    def checked(self, *restores: Lost) -> list[Violation]:
        """What the checker finds."""
        return checker.check(self.evidence(*restores))


def raw() -> Any:
    """The connection of the test, without Django."""
    connection.ensure_connection()
    return connection.connection


def sql(statement: str, *params: Any) -> None:
    """Change a row as no verb does."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


Plant = Callable[[Story], None]
