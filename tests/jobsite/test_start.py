"""A sweep with nothing to do imports no page, no call of the API, and none of their libraries."""

import json
import subprocess
import sys

import pytest

from tests.cast import database_url

pytestmark = pytest.mark.django_db(transaction=True)

RUN = """
import sys
from jobsite.__main__ import main
sys.argv = ["manage.py", "sweep_stuck", "--json"]
main()
print(*sys.modules)
"""
#: What takes longest to import, and no sweep needs.
UNNEEDED = (
    "ninja", "pydantic", "authlib", "joserfc", "prometheus_client", "jobs.admin", "jobs.api", "jobsite.urls",
)  # fmt: skip


def test_a_sweep_imports_no_pages_and_no_calls() -> None:
    environ = {
        "DATABASE_URL": database_url(), "SECRET_KEY": "x" * 50, "DJANGO_SETTINGS_MODULE": "jobsite.settings",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", RUN], env=environ, capture_output=True, text=True, check=True)
    counts, modules = done.stdout.splitlines()
    imported = modules.split()
    assert json.loads(counts)["checked"] == 0
    assert "alerts.incidents.reconcile" in imported
    assert [name for name in UNNEEDED if name in imported] == []
