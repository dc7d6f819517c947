"""`manage.py explain`: why a job is where it is."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from jobs.explain.evidence import Explained
from jobs.explain.why import explain
from jobs.models import Job
from jobsite.lib.params import number_in
from jobsite.lib.plain_text import one_line


def _number(text: str) -> int:
    if not (number := number_in(text)):
        raise ArgumentTypeError(f"{text!r} is not the number of a job")
    return number


class Command(BaseCommand):
    help = "Say why a job is where it is, with the evidence: why it waits, what its bot does, or how it ended."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", type=_number, metavar="JOB", help="the job's number")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, job: int, json: bool, **options: Any) -> None:
        row = Job.objects.select_related("kind", "claimed_by", "finished_by").filter(pk=job).first()
        if row is None:
            raise CommandError(f"There is no job {job}.")
        explained = explain(row)
        self.stdout.write(_as_json(explained) if json else _as_text(explained))


def _as_json(explained: Explained) -> str:
    return json.dumps(explained.as_dict(), cls=DjangoJSONEncoder)


def _as_text(explained: Explained) -> str:
    lines = [f"{explained.kind} job {explained.job} is {explained.status}.", explained.why, ""]
    width = max((len(line.about) for line in explained.evidence), default=0)
    lines += [f"  {line.about:<{width}}  {line.says}" for line in explained.evidence]
    return "\n".join(map(one_line, lines)).rstrip()
