"""`manage.py collectstatic`: as Django has it, by one process at a time, and only when a file has changed.

Two servers that start at once in one directory would write the same files, and one that is running would miss those
that the next is writing.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.management.commands import collectstatic

#: What was collected, as a digest, beside the collected files.
RECORD = "collected"


class Command(collectstatic.Command):
    """Django's own, one at a time. Does nothing where the files are those of the last time."""

    def handle(self, **options: Any) -> str | None:
        target = Path(settings.STATIC_ROOT)
        target.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            digest = _digest(options)
            record = target / RECORD
            if not options["clear"] and record.exists() and record.read_text() == digest:
                return None
            record.unlink(missing_ok=True)
            done = super().handle(**options)
            if not options["dry_run"]:
                record.write_text(digest)
            return done


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # This releases the lock, and so does the end of the process.
        os.close(handle)


def _digest(options: dict[str, Any]) -> str:
    """Return a digest of the names, sizes and times of all files, and of how they are stored."""
    digest = hashlib.sha256(repr(settings.STORAGES["staticfiles"]).encode())
    digest.update(repr(sorted(options["ignore_patterns"])).encode())
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=itemgetter(0)):
            status = os.stat(storage.path(name))
            digest.update(f"{name}\0{storage.path(name)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
