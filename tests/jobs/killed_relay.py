"""A relay of the outbox that is killed: `python -m tests.jobs.killed_relay URL KEY before|after`."""

import os
import signal
import sys

import django


def main() -> None:
    url, key, when = sys.argv[1:]
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from django.conf import settings

    settings.INSTALLED_APPS.append("jobsite_client.django")
    settings.DATABASES["default"]["NAME"] = os.environ["OUTBOX_DATABASE"]
    django.setup()
    from jobsite_client import Client
    from jobsite_client.django.relay import relay

    class Killed(Client):
        def send(self, request):  # type: ignore[no-untyped-def]
            if when == "after":
                super().send(request)
            os.kill(os.getpid(), signal.SIGKILL)

    relay(Killed(url, key))


if __name__ == "__main__":
    main()
