"""The site's own settings, as they are for a test run whatever the shell or `.env` says."""

import os

from jobsite import database

#: A test commits some twenty times, and would wait for the disk each time. The data need not outlive the machine.
UNSAFE = {"fsync": "off", "full_page_writes": "off"}
_embedded = database.embedded
# A server of their own: the data of `make run` are to outlive the machine.
database.embedded = lambda directory: _embedded(directory / "tests", UNSAFE)

os.environ |= {
    "DEBUG": "0",
    "HTTPS": "0",
    "SECRET_KEY": "for-tests-only-" + "x" * 50,
    "LOG_LEVEL": "INFO",
    "DATABASE_POOL_MAX": "40",
    # Claims start at the beginning on a busy machine, too; frontiers have tests of their own.
    "CLAIM_SLOW_MS": "60000",
    # All tests call from one address; rates have tests of their own.
    "RATE_PER_ADDRESS": os.environ.get("RATE_PER_ADDRESS", "0"),
    "RATE_PER_TOKEN": os.environ.get("RATE_PER_TOKEN", "0"),
}

from jobsite.settings import *  # noqa: E402, F403

# Pages are made without `collectstatic`.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Accounts are made in nearly every test; a slow hash would be most of the run.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
