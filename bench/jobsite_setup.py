"""Migrate, register bots and a producer, and print their tokens as JSON. Runs as a program with Jobsite's settings."""

import json
import sys

import django


def main(bots: int) -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from bots import roster

    call_command("migrate", verbosity=0)
    tokens = [roster.register(name=f"bench-{n}")[1] for n in range(bots)]
    producer = User.objects.create_superuser("producer")
    print(json.dumps({"tokens": tokens, "key": roster.create_key(producer)[1]}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
