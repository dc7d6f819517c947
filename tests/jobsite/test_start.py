"""The start of a command that cron runs each minute imports no page, no call of the API, and not their libraries."""

import subprocess
import sys

import pytest

from tests.cast import database_url

pytestmark = pytest.mark.django_db

IMPORTED = """
import sys
import django
django.setup()
from django.core.management import load_command_class
command = load_command_class("alerts", "sweep_stuck")
assert not command.requires_system_checks
print(*sys.modules)
"""
#: What takes longest to import, and no sweep needs.
UNNEEDED = ("ninja", "authlib", "joserfc", "prometheus_client", "jobs.admin", "jobs.api", "jobsite.urls")


def test_a_sweep_imports_no_pages_and_no_calls() -> None:
    environ = {
        "DATABASE_URL": database_url(), "SECRET_KEY": "x" * 50, "DJANGO_SETTINGS_MODULE": "jobsite.settings",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", IMPORTED], env=environ, capture_output=True, text=True, check=True)
    imported = done.stdout.split()
    assert "alerts.incidents.reconcile" in imported
    assert [name for name in UNNEEDED if name in imported] == []
