"""What each verb of `jobsitectl` does. A verb prints its answer and returns the exit code."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from ..answers import BotOut, JobIn
from ..api import Client
from ..errors import JobsiteError, Unavailable
from ..tries import which_try
from . import shown
from .access import Usage

# Exit codes. argparse ends with 2 as well.
DONE, REFUSED, WRONG_USE, UNREACHABLE, NOT_YET = 0, 1, 2, 3, 4

JOBS = ("id", "kind", "status", "priority", "bot", "run_at", "key")
BOTS = ("id", "name", "status", "health_status", "paused", "last_seen_at", "stuck_job", "health_reason")
KINDS = ("kind", "jobs", "due", "held")
SCHEDULES = ("name", "kind", "words", "next_at", "paused")


def ls(client: Client, options: Namespace) -> int:
    """List jobs, newest first."""
    filters = {name: getattr(options, name) for name in ("status", "kind", "key", "group", "bot")}
    return _listed(client.jobs(**filters, limit=options.limit or None), JOBS, options)


def bots(client: Client, options: Namespace) -> int:
    """List bots, in the order in which they were registered."""
    return _listed(
        client.bots(status=options.status, health=options.health, limit=options.limit or None), BOTS, options
    )


def schedules(client: Client, options: Namespace) -> int:
    """List schedules."""
    return _listed(client.schedules(limit=options.limit or None), SCHEDULES, options)


def kinds(client: Client, options: Namespace) -> int:
    """List kinds, and how many of their jobs bots could work on, are due, and are held."""
    rows = client.scale(options.kinds or None)["kinds"]
    if options.json:
        for row in rows:
            print(shown.as_json(row))
    else:
        shown.table(KINDS, ([row[name] for name in KINDS] for row in rows))  # type: ignore[literal-required]
    return DONE


def _listed(items: Any, columns: tuple[str, ...], options: Namespace) -> int:
    if options.json:
        for item in items:
            print(shown.as_json(item))
    else:
        shown.table(columns, ([item[name] for name in columns] for item in items))
    if items.next_cursor is not None:
        shown.warn(f"There are more than {options.limit}: --limit 0 lists all.")
    return DONE


def show(client: Client, options: Namespace) -> int:
    """Show a job with its history."""
    job, events = client.job(options.job), client.events(options.job)
    if options.json:
        print(shown.as_json({**job, "events": events}))
        return DONE
    shown.fields(job)
    if events:
        print()
        rows = ((e["at"], e["verb"], which_try(e["attempt"]), e["by"] or e["actor"], e["reason"]) for e in events)
        shown.table(("at", "verb", "attempt", "by", "reason"), rows)
    return DONE


def explain(client: Client, options: Namespace) -> int:
    """Explain why a job is where it is."""
    answer = client.explain(options.job)
    if options.json:
        print(shown.as_json(answer))
        return DONE
    print(shown.one_line(answer["why"]))
    for evidence in answer["evidence"]:
        print(f"- {shown.one_line(evidence['says'])}")
    return DONE


def enqueue(client: Client, options: Namespace) -> int:
    """Enqueue a job, or all jobs of a file of NDJSON. Prints the job's id, or how many there were."""
    if (options.kind is None) == (options.file is None):
        raise Usage("Name a kind, or give --file with jobs as NDJSON.")
    if options.file is not None:
        counts = client.enqueue_stream(_jobs_in(options.file), skip_bad=options.skip_bad)
        if options.json:
            print(shown.as_json(counts))
        else:
            print(", ".join(f"{counts.get(name, 0)} {name}" for name in ("created", "existing", "replaced", "bad")))
        return DONE
    fields: dict[str, Any] = {name: getattr(options, name) for name in ("key", "group", "priority", "delay", "unique")}
    job = client.enqueue(options.kind, _payload(options.payload), **fields)
    print(shown.as_json(job) if options.json else job["id"])
    if job["outcome"] != "created" and not options.json:
        shown.warn(f"Job {job['id']} has this key already; it is {job['status']}.")
    return DONE


def _payload(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise Usage(f"The payload is not JSON: {error}. A text needs its quotes: '\"text\"'.") from None


def _jobs_in(path: str) -> Iterator[JobIn]:
    try:
        with open(0 if path == "-" else path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _job_in(number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{path} cannot be read: {error}") from None


def _job_in(number: int, line: str) -> JobIn:
    try:
        job = json.loads(line)
    except ValueError as error:
        raise Usage(f"Line {number} is not JSON: {error}. Nothing was enqueued.") from None
    if not isinstance(job, dict):
        raise Usage(f"Line {number} is not a job: a JSON object is needed. Nothing was enqueued.")
    return cast("JobIn", job)


def wait(client: Client, options: Namespace) -> int:
    """Wait until jobs have ended. Succeeds if all of them succeeded."""
    until = datetime.now(timezone.utc) + timedelta(seconds=options.timeout)
    code = DONE
    for job_id in options.jobs:
        left = max((until - datetime.now(timezone.utc)).total_seconds(), 0.0)
        try:
            job = client.wait_for_job(job_id, seconds=left)
        except TimeoutError:
            shown.warn(f"Job {job_id} has not ended after {options.timeout:g} s.")
            return NOT_YET
        print(shown.as_json(job) if options.json else f"{job['id']} {job['status']}")
        if job["status"] != "succeeded":
            code = REFUSED
    return code


def release(client: Client, options: Namespace) -> int:
    """Release held jobs."""
    return _each(options, options.jobs, lambda job: client.release_job(job, options.reason))


def retry(client: Client, options: Namespace) -> int:
    """Return failed or cancelled jobs to pending."""
    return _each(options, options.jobs, lambda job: client.retry_job(job, options.reason))


def cancel(client: Client, options: Namespace) -> int:
    """Cancel jobs."""
    return _each(options, options.jobs, lambda job: client.cancel_job(job, options.reason))


def pause(client: Client, options: Namespace) -> int:
    """Give bots no new jobs."""
    until = None if options.seconds is None else datetime.now(timezone.utc) + timedelta(seconds=options.seconds)
    return _each(options, _ids(client, options), lambda bot: client.pause_bot(bot, reason=options.reason, until=until))


def resume(client: Client, options: Namespace) -> int:
    """Give bots jobs again."""
    return _each(options, _ids(client, options), lambda bot: client.resume_bot(bot, reason=options.reason))


def _each(options: Namespace, these: Iterable[int | str], act: Callable[[int | str], Any]) -> int:
    """Do it to each; one that is refused keeps none of the others from it."""
    code = DONE
    for one in these:
        try:
            answer = act(one)
        except Unavailable:
            raise
        except JobsiteError as error:
            if error.status in (401, 403):
                raise
            shown.warn(f"{one}: {error.detail}")
            code = REFUSED
        else:
            print(shown.as_json(answer) if options.json else shown.one_line(answer["message"]))
    return code


def _ids(client: Client, options: Namespace) -> list[int | str]:
    """The ids of the bots, which are named by id or name."""
    if all(bot.isdigit() for bot in options.bots):
        return list(options.bots)
    found: dict[str, BotOut] = {bot["name"]: bot for bot in client.bots()}
    if unknown := [bot for bot in options.bots if not bot.isdigit() and bot not in found]:
        raise Usage(f"There is no bot {', '.join(unknown)}.")
    return [bot if bot.isdigit() else found[bot]["id"] for bot in options.bots]
