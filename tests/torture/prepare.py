"""Migrate, and make the storm's bots, people, kinds and channel. Prints their tokens as JSON. Runs with the settings.

Its argument: the address of the receiver of notifications.
"""

import json
import sys
from datetime import timedelta
from typing import Any

import django

BOTS = 6
OPERATOR, PASSWORD = "storm", "a password for a storm"
#: Short limits, so that a bot that stops for a moment loses its jobs.
LIMITS = {
    "start_within": timedelta(seconds=2),
    "heartbeat_within": timedelta(seconds=1),
    "backoff": timedelta(milliseconds=300),
    "max_attempts": 20,
}


def populate(receiver: str) -> dict[str, Any]:
    """Make them in the present database. Returns the bots' tokens and the person's key."""
    from django.contrib.auth.models import User

    from alerts.models import Channel
    from bots import roster
    from jobs.models import JobKind
    from tests.torture.producer import KINDS

    JobKind.objects.bulk_create([JobKind(name=name, **LIMITS) for name in KINDS])
    person: Any = User.objects.create_superuser(OPERATOR, password=PASSWORD)
    Channel.objects.create(name="receiver", way="webhook", address=receiver)
    tokens = [roster.register(name=f"bot-{n}")[1] for n in range(BOTS)]
    return {"tokens": tokens, "key": roster.create_key(person)[1]}


def main(receiver: str) -> None:
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    print(json.dumps(populate(receiver)))


if __name__ == "__main__":
    main(sys.argv[1])
