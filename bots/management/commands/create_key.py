"""`manage.py create_key`: make an API key of a user and print it."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from bots import roster


class Command(BaseCommand):
    help = "Make an API key that acts as a user. The key, shown this once, is the only line on standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="", help="what the key is for")

    def handle(self, *, username: str, name: str, **options: Any) -> None:
        user_model = get_user_model()
        try:
            user = user_model.objects.get_by_natural_key(username)
        except user_model.DoesNotExist:
            raise CommandError(f"There is no user called {username!r}.") from None
        if len(name) > 100:
            raise CommandError("--name: at most 100 characters.")
        _, key = roster.create_key(user, name)
        self.stdout.write(key)
