"""Run django-tasks-db: several `db_worker` processes, each with one task at a time. `python FILE ACTION JSON`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from peer import main, now


def _django(url: str) -> None:
    os.environ |= {"PEER_URL": url, "DJANGO_SETTINGS_MODULE": "django_settings"}
    import django

    django.setup()


def prepare(url: str) -> dict[str, Any]:
    _django(url)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return {}


def enqueue(url: str, jobs: int, batch: int) -> dict[str, Any]:
    """Enqueue one by one, in transactions of `batch`: it has no bulk call."""
    _django(url)
    from django.db import connection, transaction
    from django_noop import noop
    from peer import batches

    connection.ensure_connection()
    start = now()
    for size in batches(jobs, batch):
        with transaction.atomic():
            for n in range(size):
                noop.enqueue(n)
    return {"seconds": now() - start}


def work(url: str, jobs: int, processes: int) -> dict[str, Any]:
    """Measure from the first start to the last end, as the workers stored them."""
    _django(url)
    command = [sys.executable, "-m", "django", "db_worker", "--batch", "--no-startup-delay", "--interval", "0"]
    running = [
        subprocess.Popen([*command, "-v", "0", "--worker-id", f"w{n}"], cwd=Path(__file__).parent)
        for n in range(processes)
    ]
    for process in running:
        process.wait()
    from django.db.models import Max, Min
    from django_tasks_db.models import DBTaskResult

    ends = DBTaskResult.objects.aggregate(first=Min("started_at"), last=Max("finished_at"))
    return {"seconds": (ends["last"] - ends["first"]).total_seconds()}


if __name__ == "__main__":
    main(prepare=prepare, enqueue=enqueue, work=work)
