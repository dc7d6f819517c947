"""Insert any number of jobs with options through a temporary table: others may have their keys."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from jobs.enqueue import keys, pending
from jobs.enqueue.copy import BLOCK_ROWS, Rows, copy_blocks
from jobs.enqueue.new_job import NewJob
from jobs.enqueue.statements import SQL, run
from jobs.lifecycle import By
from jobs.states import Added

#: Pages of the temporary table in one `INSERT`: PostgreSQL keeps something of each row in memory until its end.
INCOMING_PAGES = 2000
#: Up to this number rows are inserted in the order of their keys.
SORTED_ROWS = 10_000
#: The fields of a job that has nothing but its kind and payload.
_PLAIN = NewJob("", None)._asdict()


@dataclass(frozen=True)
class Enqueued:
    """How many jobs were created, existed already, and were replaced. `jobs`: as `insert.enqueue` returns them."""

    created: int
    existing: int
    replaced: int = 0
    jobs: list[tuple[int, Added]] | None = None


def insert_incoming(rows: Rows, bounds: Mapping[str, int], by: By, *, ids: bool) -> Enqueued:
    """Insert these jobs, in the caller's transaction. With `ids` the result has `jobs`; `by` is who replaces others."""
    run("incoming")
    copy_blocks("copy_incoming", rows.blocks())
    run("incoming_superseded")
    pending.figures.admit_counted(bounds, rows.kinds, _count_created)
    inserted, settled = 0, dict[int, tuple[int, Added]]()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('pg_temp.incoming') / current_setting('block_size')::integer")
        pages = int(cursor.fetchone()[0])
        by_key = pages <= INCOMING_PAGES and rows.count <= SORTED_ROWS
        for first in range(0, pages, INCOMING_PAGES):
            part = {"first": first, "end": first + INCOMING_PAGES}
            cursor.execute(SQL.text("enqueue_incoming"), part | {"by_key": by_key})
            inserted += cursor.rowcount
            if ids or rows.replaces:
                settled |= _settle([row["id"] for row in run("incoming_taken", **part)], by)
        jobs = _all_jobs(settled) if ids else None
        # Dropped here and not only at commit: the caller's transaction may enqueue again.
        cursor.execute("DROP TABLE pg_temp.incoming")
    became = Counter(added for _, added in settled.values())
    created, replaced = inserted + became[Added.CREATED], became[Added.REPLACED]
    return Enqueued(created, rows.count - created - replaced, replaced, jobs)


def _count_created() -> Counter[str]:
    return Counter({row["kind"]: row["n"] for row in run("incoming_new")})


def _settle(taken: Sequence[int], by: By) -> dict[int, tuple[int, Added]]:
    """What becomes of those new jobs whose keys others have, by their ids in the temporary table."""
    settled: dict[int, tuple[int, Added]] = {}
    for start in range(0, len(taken), BLOCK_ROWS):
        rows = run("incoming_rows", ids=list(taken[start : start + BLOCK_ROWS]))
        done = keys.insert_or_settle([_row(row) for row in rows], by, taken=True)
        settled |= {row["incoming"]: one for row, one in zip(rows, done, strict=True)}
    return settled


def _row(incoming: Mapping[str, Any]) -> dict[str, Any]:
    """A new job of the temporary table as `enqueue.sql` takes it."""
    run_at = incoming["run_at"]
    fields: dict[str, Any] = {
        "kind": incoming["kind"],
        "priority": incoming["priority"],
        "max_attempts": incoming["max_attempts"],
    }
    fields |= {"payload": json.loads(incoming["payload"]), "run_at": None if run_at is None else run_at.isoformat()}
    options: dict[str, Any] = json.loads(incoming["options"] or "{}")
    return _PLAIN | fields | options


def _all_jobs(settled: Mapping[int, tuple[int, Added]]) -> list[tuple[int, Added]]:
    rows = run("incoming_ids")
    done = {row["id"]: settled.get(row["id"], (row["id"], Added.CREATED)) for row in rows if not row["superseded"]}
    of_key = {(row["kind"], row["key"]): done[row["id"]][0] for row in rows if row["id"] in done}
    return [done.get(row["id"]) or (of_key[row["kind"], row["key"]], Added.EXISTING) for row in rows]
