"""`manage.py create_key`: make an API key of a user and print it."""

import re
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_naive, make_aware

from bots import roster
from bots.acts import SCOPES
from bots.models import ApiKey
from jobsite.lib.clock import check_usable, database_now

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Command(BaseCommand):
    help = "Make an API key that acts as a user. The key, shown this once, is the only line on standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="", help="what the key is for")
        parser.add_argument("--kinds", nargs="+", default=[], metavar="KIND", help="only jobs of these kinds")
        scopes = f"only these: {', '.join(SCOPES)} (default: all that the user may do)"
        parser.add_argument("--verbs", nargs="+", default=[], metavar="VERB", help=scopes)
        parser.add_argument("--read-only", action="store_true", help="it may read and change nothing")
        parser.add_argument(
            "--expires", metavar="WHEN", help="a date, a time (2027-01-31T12:00Z), or from now: 90d, 12h"
        )

    def handle(self, *, username: str, name: str, expires: str | None, read_only: bool, **options: Any) -> None:
        user_model = get_user_model()
        try:
            user = user_model.objects.get_by_natural_key(username)
        except user_model.DoesNotExist:
            raise CommandError(f"There is no user called {username!r}.") from None
        kinds, verbs = _listed(options["kinds"]), _listed(options["verbs"])
        if unknown := [verb for verb in verbs if verb not in SCOPES]:
            raise CommandError(f"--verbs: there is no {unknown[0]!r}. There are: {', '.join(SCOPES)}.")
        given: dict[str, Any] = {"name": name, "kinds": kinds, "verbs": verbs, "read_only": read_only}
        given["expires_at"] = _moment(expires) if expires else None
        try:
            key = ApiKey(**given)
            key.clean_fields(exclude=["user", "prefix", "digest"])
            key.clean()
        except ValidationError as error:
            raise CommandError("; ".join(f"--{f}: {' '.join(m)}" for f, m in error.message_dict.items())) from None
        _, text = roster.create_key(user, **given)
        self.stdout.write(text)


def _listed(groups: list[str]) -> list[str]:
    return [word for group in groups for word in group.split(",") if word]


def _moment(text: str) -> datetime:
    """The moment that `--expires` names. A date ends with its day; without an offset it is the installation's time."""
    now = database_now()
    try:
        if match := re.fullmatch(r"([0-9]{1,6})([smhd])", text):
            at = now + timedelta(**{UNITS[match[2]]: int(match[1])})
        elif day := parse_date(text):
            at = make_aware(datetime(day.year, day.month, day.day)) + timedelta(days=1)
        else:
            parsed = parse_datetime(text)
            if parsed is None:
                raise ValueError
            at = make_aware(parsed) if is_naive(parsed) else parsed
        check_usable(at)
    except (ValueError, OverflowError, ValidationError):
        raise CommandError("--expires: give a date (2027-01-31), a time (2027-01-31T12:00Z), or 90d or 12h.") from None
    if at <= now:
        raise CommandError("--expires: this moment has passed.")
    return at
