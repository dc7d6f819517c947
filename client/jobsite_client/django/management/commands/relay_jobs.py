"""`manage.py relay_jobs`: send the jobs of the outbox to the server."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobsite_client.django.backend import JobsiteBackend
from jobsite_client.django.relay import relay, relay_until
from jobsite_client.django.tasks import task_backends
from jobsite_client.errors import JobsiteError


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT; any number of them may run."""

    help = "Send the jobs of the outbox to Jobsite, until SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--backend", default="default", metavar="ALIAS", help="of TASKS: address and key (default)")
        parser.add_argument("--database", default="default", metavar="ALIAS", help="where the outbox is (default)")
        parser.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between looks (%(default)s)")
        parser.add_argument("--once", action="store_true", help="send what is there, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        backend = task_backends[options["backend"]]
        if not isinstance(backend, JobsiteBackend):
            raise CommandError(f"The backend {options['backend']} of TASKS is not JobsiteBackend.")
        if options["once"]:
            try:
                while relay(backend.client, options["database"]):
                    pass
            except JobsiteError as error:
                raise CommandError(error.detail) from None
            return
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        relay_until(stopped, backend.client, options["database"], options["every"])
