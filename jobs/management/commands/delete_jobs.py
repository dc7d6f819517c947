"""`manage.py delete_jobs`: delete jobs by a filter, with all that is stored about them."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.audit import COMMAND
from jobs import deletion
from jobs.bounds import REASON_LENGTH
from jobs.deletion import BATCH_SIZE, Deleted
from jobs.lifecycle import By
from jobs.lists.filters import JobFilter
from jobs.states import JobStatus
from jobsite.lib.errors import JobsiteError
from jobsite.lib.loop import DATABASE_AWAY, error_line
from jobsite.lib.params import moment_of
from jobsite.lib.strict_json import check_json, loads


class Command(BaseCommand):
    help = (
        "Delete jobs for good, with payloads, results, history and late results: those that match all of the options. "
        "A job that a bot holds is left. Safe to run twice at once, and beside the sweep."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--id", nargs="+", type=int, default=[], metavar="ID", help="only these jobs")
        parser.add_argument("--kind", nargs="+", default=[], metavar="KIND", help="only of these kinds")
        statuses = JobStatus.values
        parser.add_argument("--status", nargs="+", default=[], choices=statuses, help="only in these statuses")
        parser.add_argument("--key", nargs="+", default=[], metavar="KEY", help="only with these keys")
        parser.add_argument("--group", nargs="+", default=[], metavar="GROUP", help="only in these groups")
        parser.add_argument("--payload", metavar="JSON", help='only where the payload contains this: {"customer": 17}')
        parser.add_argument("--created-before", metavar="TIME", help="a time with its offset: 2026-11-05T09:00:00Z")
        parser.add_argument("--finished-before", metavar="TIME", help="the same")
        parser.add_argument("--reason", default="", help="why, for the audit log")
        parser.add_argument("--dry-run", action="store_true", help="say how many there are, and change nothing")

    def handle(self, *, reason: str, dry_run: bool, **options: Any) -> None:
        asked = _filter(options)
        if asked.is_empty:
            raise CommandError("Give at least one condition: all jobs are never meant.")
        if len(reason) > REASON_LENGTH:
            raise CommandError(f"--reason: at most {REASON_LENGTH} characters.")
        jobs = held = 0
        after: int | None = 0
        try:
            while after is not None:
                done: Deleted = deletion.delete(
                    asked, by=By.operator(COMMAND), reason=reason, most=BATCH_SIZE, after=after, dry_run=dry_run
                )
                jobs, held, after = jobs + done.jobs, held + done.held, done.after
        except DATABASE_AWAY as error:
            raise CommandError(f"Failed. {_summary(jobs, held, dry_run)} {error_line(error)}") from None
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {_summary(jobs, held, dry_run)}", returncode=130) from None
        self.stdout.write(_summary(jobs, held, dry_run))


def _filter(options: dict[str, Any]) -> JobFilter:
    try:
        payload = loads(options["payload"].encode("utf-8", "surrogateescape")) if options["payload"] else {}
        check_json(payload, "payload", 2**20)
        if not isinstance(payload, dict):
            raise CommandError('--payload: give an object, such as {"customer": 17}.')
        created = moment_of(options["created_before"], "--created-before")
        finished = moment_of(options["finished_before"], "--finished-before")
    except JobsiteError as error:
        raise CommandError(error.detail) from None
    return JobFilter(
        ids=tuple(options["id"]), among=tuple(options["kind"]), in_statuses=tuple(options["status"]),
        keys=tuple(options["key"]), groups=tuple(options["group"]), contains=payload,
        created_before=created, finished_before=finished,
    )  # fmt: skip


def _summary(jobs: int, held: int, dry_run: bool) -> str:
    text = f"{'Would delete' if dry_run else 'Deleted'} {jobs} job{'' if jobs == 1 else 's'}."
    return text + (f" {held} {'is' if held == 1 else 'are'} held by bots and left." if held else "")
