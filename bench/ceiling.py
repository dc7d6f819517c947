"""Measure the ceiling: the statements of an exchange sent by psycopg from four processes, without a web server.

The statements are not written here. Each process lets Jobsite answer two exchanges in its own memory, records what the
second sends to the database, and then repeats it with other reports.
"""

import json
import multiprocessing
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

import psycopg

from bench.database import Server
from bench.figures import rate
from bench.jobsite_server import environment
from bench.load import Wrong

PROCESSES = 4
#: A job in an answer, in any context.
LEASE = re.compile(r'"id": ?(\d+).*?"attempt": ?(\d+)')

Lease = tuple[int, int]


@dataclass
class Sent:
    """One statement as it was sent: its class of cursor, its text, its parameters."""

    cursor: type[psycopg.Cursor[Any]]
    text: Any
    params: Sequence[Any]

    def place_of(self, leases: Sequence[Lease]) -> tuple[int, str] | None:
        """Find the parameter whose JSON has the reports of these leases; return it with `HERE` in place of them.

        None: no parameter has them.
        """
        for place, value in enumerate(self.params):
            if isinstance(value, str) and value.startswith("["):
                parsed = json.loads(value)
                around = _without(parsed, leases)
                if around != parsed:
                    return place, json.dumps(around, separators=(",", ":"))
        return None


#: Placeholder of the reports in JSON.
HERE = '"<reports>"'


def _without(value: Any, leases: Sequence[Lease]) -> Any:
    """Replace the list of these leases, wherever it is in the value, by `HERE`."""
    if isinstance(value, dict):
        return {name: _without(item, leases) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    if value and [(item.get("id"), item.get("attempt")) for item in value if isinstance(item, dict)] == list(leases):
        return json.loads(HERE)
    return [_without(item, leases) for item in value]


def written(leases: Sequence[Lease]) -> str:
    """Write reports of these leases as a bot does."""
    return json.dumps([{"id": job, "attempt": attempt} for job, attempt in leases], separators=(",", ":"))


def leases_in(rows: Sequence[Sequence[Any]]) -> list[Lease]:
    """Read the jobs in rows of the database, as JSON text or as values."""
    text = "\n".join(
        value if isinstance(value, str) else json.dumps(value, default=str) for row in rows for value in row
    )
    return [(int(job), int(attempt)) for job, attempt in LEASE.findall(text)]


@contextmanager
def _recorded() -> Iterator[list[Sent]]:
    """Record what psycopg's cursors execute."""
    sent: list[Sent] = []
    execute = psycopg.Cursor.execute

    def record(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        if params is not None:
            sent.append(
                Sent(psycopg.RawCursor if isinstance(self, psycopg.RawCursor) else psycopg.Cursor, query, params)
            )
        return execute(self, query, params, **options)

    psycopg.Cursor.execute = record  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]


def _learn(token: str, limit: int) -> tuple[Sent, tuple[int, str], list[Lease], dict[str, Any]]:
    """Answer two exchanges: `(the second's statement, the place of its reports, its jobs, connection options)`."""
    import django

    warnings.simplefilter("ignore")
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import connection
    from django.test import RequestFactory

    from jobsite.entry import Entry

    make = RequestFactory(headers={"Authorization": f"Bearer {token}", "Host": "127.0.0.1"})
    site = Entry(WSGIHandler())

    def exchange(leases: list[Lease]) -> list[Lease]:
        body = f'{{"completed":{written(leases)},"claim":{{"limit":{limit}}}}}'
        request = make.post("/api/v1/exchange", body, content_type="application/json")
        statuses: list[str] = []

        def start(status: str, headers: Any, *_: Any) -> Callable[[bytes], object]:
            statuses.append(status)
            return lambda _: None

        answer = b"".join(site(request.environ, start))
        if statuses != ["200 OK"]:
            raise Wrong(f"The ceiling's exchange was answered {statuses}: {answer[:300]!r}")
        return [(job["id"], job["attempt"]) for job in json.loads(answer)["jobs"]]

    before = exchange([])
    with _recorded() as sent:
        held = exchange(before)
    place = sent[0].place_of(before) if len(sent) == 1 else None
    if place is None:
        raise Wrong(f"An exchange is not one statement with its reports as a list: {[s.text for s in sent]}")
    options = connection.get_connection_params().get("options", "")
    return sent[0], place, held, {"options": options} if options else {}


def _work(url: str, token: str, limit: int, ready: Barrier) -> tuple[float, float, int]:
    os.environ |= environment(url)
    sent, (place, around), held, connects = _learn(token, limit)
    params = list(sent.params)
    with psycopg.connect(url, autocommit=True, **connects) as connection:
        cursor = sent.cursor(connection)
        ready.wait()
        jobs, empty, first = 0, 0, time.monotonic()
        last = first
        while empty < 5:
            params[place] = around.replace(HERE, written(held))
            cursor.execute(sent.text, params, prepare=True, binary=True)
            rows = cursor.fetchall()
            last = time.monotonic() if held else last
            jobs += len(held)
            held = leases_in(rows)
            empty = 0 if held else empty + 1
    return first, last, jobs


def _worker(url: str, token: str, limit: int, ready: Barrier, out: Any) -> None:
    try:
        out.put(_work(url, token, limit, ready))
    except Exception as error:
        ready.abort()
        out.put(f"{type(error).__name__}: {error}")
        raise


def drive(server: Server, name: str, tokens: Sequence[str], *, limit: int) -> float:
    """Claim and complete until nothing is left. Returns jobs per second."""
    context = multiprocessing.get_context("spawn")
    ready, out = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=_worker, args=(server.url(name), token, limit, ready, out), daemon=True)
        for token in tokens[:PROCESSES]
    ]
    for process in processes:
        process.start()
    try:
        ends = [out.get(timeout=240) for _ in processes]
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    for end in ends:
        if isinstance(end, str):
            raise Wrong(f"A process of the ceiling failed: {end}")
    jobs, prepared = sum(end[2] for end in ends), PROCESSES * limit
    counted = server.ask(name, "SELECT count(*) FROM jobs_job WHERE status = 'succeeded'") - prepared
    if jobs != counted:
        raise Wrong(f"The ceiling counted {jobs} jobs and the database {counted}.")
    return rate(jobs, max(end[1] for end in ends) - min(end[0] for end in ends))
