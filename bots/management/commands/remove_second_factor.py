"""Let a person log in with the password alone, who has lost both app and recovery codes."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from bots.audit import COMMAND
from bots.login import second_factor


class Command(BaseCommand):
    """`manage.py remove_second_factor USERNAME`."""

    help = "Remove a person's second factor. Where one is required, they set up another at the next login."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["username"]
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"There is no user {name!r}.")
        if not second_factor.turn_off(user, by=COMMAND):
            raise CommandError(f"{name} has no second factor.")
        self.stdout.write(f"Removed the second factor of {name}.")
