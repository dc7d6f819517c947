"""Migrate, register bots and a producer, and print their tokens as JSON. Runs as a program with Jobsite's settings."""

import json
import sys

import django


def main(bots: int) -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from bots import roster, tokens
    from bots.models import Bot

    call_command("migrate", verbosity=0)
    new = [tokens.new(tokens.BOT_PREFIX) for _ in range(bots)]
    Bot.objects.bulk_create(
        [Bot(name=f"bench-{n}", token_digest=t.digest, token_prefix=t.prefix) for n, t in enumerate(new)]
    )
    producer = User.objects.create_superuser("producer")
    print(json.dumps({"tokens": [token.text for token in new], "key": roster.create_key(producer)[1]}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
