"""`manage.py create_bot`: register a bot and print its token."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from bots import roster
from bots.models import Bot


class Command(BaseCommand):
    help = "Register a bot. Its token, shown this once, is the only line on standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--kinds", nargs="+", default=[], metavar="KIND", help="only these kinds (default: any)")
        parser.add_argument("--capacity", type=int, help="how many jobs it may hold at once")

    def handle(self, *, name: str, kinds: list[str], capacity: int | None, **options: Any) -> None:
        kinds = [kind for group in kinds for kind in group.split(",") if kind]
        try:
            Bot(name=name, kinds=kinds, capacity=capacity).full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(f"{f}: {' '.join(m)}" for f, m in error.message_dict.items())) from None
        _, token = roster.register(name=name, kinds=kinds, capacity=capacity)
        self.stdout.write(token)
