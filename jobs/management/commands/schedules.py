"""`manage.py schedules`: list schedules, and apply a file of them."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.models import Schedule
from jobs.schedules import changes, ledger
from jobs.schedules.crontab import read_crontab
from jobs.schedules.definition import NamedScheduleIn
from jobsite.lib import outcomes
from jobsite.lib.badges import exact
from jobsite.lib.errors import JobsiteError
from jobsite.lib.loop import error_line
from jobsite.lib.plain_text import one_line
from jobsite.lib.strict_json import loads

#: How wide the table is where no terminal says so.
WIDTH = 200
_file = TypeAdapter(list[NamedScheduleIn])


class Command(BaseCommand):
    help = (
        "List schedules, or apply a file of them: a JSON array of objects with the fields of PUT /schedules/{name} and "
        "the name; or a crontab (--crontab). All or none. With --prune schedules that the same file made before, and "
        "has no more, are deleted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|apply")
        listing = verbs.add_parser("list", help="print all schedules, with what comes and what was")
        listing.add_argument("--json", action="store_true", help="print one JSON object for each")
        applying = verbs.add_parser("apply", help="create and change schedules as a file says")
        applying.add_argument("file", metavar="FILE", help="the file; its path as given here is the schedules' source")
        applying.add_argument("--prune", action="store_true", help="delete what this file made and has no more")
        applying.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
        applying.add_argument("--crontab", action="store_true", help="the file is a crontab: a schedule for each line")
        applying.add_argument("--user-field", action="store_true", help="a crontab with users, as /etc/crontab")
        applying.add_argument("--time-zone", default="UTC", metavar="ZONE", help="of a crontab (default: UTC)")
        applying.add_argument("--kind", default="", help="of all lines of a crontab (default: the program's name)")

    def handle(self, *, verb: str, **options: Any) -> None:
        if verb == "list":
            self._list(as_json=options["json"])
        else:
            given = _read_crontab(options) if options["crontab"] else _read(options["file"])
            self._apply(options["file"], given, prune=options["prune"], dry_run=options["dry_run"])

    def _list(self, *, as_json: bool) -> None:
        schedules = list(Schedule.objects.order_by("name"))
        last = ledger.recent(schedules, 1)
        table = Table("name", "kind", "fires", "next", "last", "source")
        for schedule in schedules:
            fate = last[schedule.pk][0].fate if last[schedule.pk] else ""
            next_at = "paused" if schedule.paused else "" if schedule.next_at is None else exact(schedule.next_at)
            cells = (schedule.name, schedule.kind, schedule.timing.words(), next_at, fate, schedule.source)
            if as_json:
                names = ("name", "kind", "fires", "next", "last", "source")
                self.stdout.write(json.dumps(dict(zip(names, cells, strict=True))))
            table.add_row(*(Text(one_line(cell)) for cell in cells))
        if not as_json:
            width = None if self.stdout.isatty() else WIDTH
            Console(file=self.stdout._out, width=width).print(table)  # type: ignore[arg-type]

    def _apply(self, file: str, given: list[NamedScheduleIn], *, prune: bool, dry_run: bool) -> None:
        lines = []
        try:
            with transaction.atomic(), outcomes.before_commit():
                for item in given:
                    values = item.to_values()
                    del values["name"]
                    lines.append(_line(item.name, changes.put(item.name, values, source=file)))
                if prune:
                    lines += [f"{name}: deleted" for name in changes.prune(file, {item.name for item in given})]
                if dry_run:
                    transaction.set_rollback(True)
        except outcomes.ERRORS as error:
            nothing = outcomes.nothing_done(error)
            what = "Nothing was changed." if nothing else "Whether it was applied is not known; apply it again."
            raise CommandError(f"{error_line(error).rstrip('.')}. {what}") from None
        for line in lines:
            self.stdout.write(one_line(line))
        self.stdout.write(f"{'Dry run: ' if dry_run else ''}{len(given)} schedules in {one_line(file)}")


def _line(name: str, done: changes.Put) -> str:
    if done.created:
        return f"{name}: created"
    return f"{name}: changed {', '.join(done.changed)}" if done.changed else f"{name}: as it was"


def _read(file: str) -> list[NamedScheduleIn]:
    """Read the schedules of a file. CommandError, which names the item and the field, where it has a fault."""
    try:
        content = loads(Path(file).read_bytes())
        items = _file.validate_python(content)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}. Nothing was changed.") from None
    except JobsiteError as error:
        raise CommandError(f"{file}: {error.detail} Nothing was changed.") from None
    except ValidationError as error:
        faults = [_fault(content, e["loc"], e["msg"]) for e in error.errors(include_input=False, include_url=False)]
        raise CommandError(f"{file}: {'; '.join(faults)}. Nothing was changed.") from None
    _require_different(file, items)
    return items


def _read_crontab(options: dict[str, Any]) -> list[NamedScheduleIn]:
    """Read a crontab's lines as schedules. CommandError, which names each line that has a fault."""
    file = options["file"]
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = error.strerror if isinstance(error, OSError) else "It is not UTF-8"
        raise CommandError(f"{file}: {fault}. Nothing was changed.") from None
    items, faults = [], []
    lines = read_crontab(text, time_zone=options["time_zone"], user_field=options["user_field"], kind=options["kind"])
    for line in lines:
        try:
            if line.fault:
                faults.append(f"line {line.number}: {line.fault}")
            else:
                items.append(NamedScheduleIn.model_validate(line.schedule))
        except ValidationError as error:
            for e in error.errors(include_input=False, include_url=False):
                faults.append(f"line {line.number}: {'.'.join(map(str, e['loc']))}: {e['msg']}")
    if faults:
        raise CommandError("\n".join([*(one_line(fault)[:300] for fault in faults), f"{file}: Nothing was changed."]))
    _require_different(file, items)
    return items


def _require_different(file: str, items: list[NamedScheduleIn]) -> None:
    names = [item.name for item in items]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CommandError(f"{file}: {twice[0]} is there twice. Nothing was changed.")


def _fault(content: Any, place: tuple[int | str, ...], message: str) -> str:
    if not place:
        return message
    number = int(place[0])
    item = content[number] if isinstance(content, list) else None
    name = item.get("name") if isinstance(item, dict) else None
    where = name if isinstance(name, str) else f"item {number + 1}"
    field = ".".join(str(part) for part in place[1:])
    return one_line(f"{where}: {field}: {message}" if field else f"{where}: {message}")[:300]
