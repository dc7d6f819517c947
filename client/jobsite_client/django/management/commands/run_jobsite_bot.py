"""`manage.py run_jobsite_bot`: run the tasks that are enqueued with Jobsite."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobsite_client.django.backend import JobsiteBackend
from jobsite_client.django.running import bot_for
from jobsite_client.django.tasks import task_backends


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT, and ends with the exit code of a bot."""

    help = "Run tasks of Django that are enqueued with Jobsite, until SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--backend", default="default", metavar="ALIAS", help="of TASKS (default)")
        parser.add_argument("--queue", action="append", metavar="NAME", help="only this queue; repeatable")
        parser.add_argument("--concurrency", type=int, default=4, metavar="N", help="tasks at a time (%(default)s)")
        parser.add_argument("--grace", type=float, default=3.0, metavar="S", help="seconds for tasks at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        backend = task_backends[options["backend"]]
        if not isinstance(backend, JobsiteBackend):
            raise CommandError(f"The backend {options['backend']} of TASKS is not JobsiteBackend.")
        queues = options["queue"] or ()
        if unknown := set(queues) - backend.queues:
            raise CommandError(f"The backend has no queue {', '.join(sorted(unknown))}: see QUEUES in TASKS.")
        bot = bot_for(backend, queues, concurrency=options["concurrency"], grace=options["grace"])
        sys.exit(bot.run())
