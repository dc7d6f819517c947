"""The checkers that a change must pass, run as tests so that `make test` says all there is to say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]


def run(*command, **env):
    """Run a tool from the environment's own `bin`, and show what it said when it failed."""
    program = Path(sys.executable).parent / command[0]
    # What the browser's tests need in this process is not for others.
    clean = {name: value for name, value in os.environ.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"}
    done = subprocess.run(
        [program, *command[1:]], cwd=ROOT, capture_output=True, text=True, env=clean | env, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing():
    run("ruff", "check", ".")


def test_ruff_would_format_nothing_otherwise():
    run("ruff", "format", "--check", ".")


@pytest.mark.timeout(170)
def test_mypy_finds_nothing():
    # The plugin reads the settings; it needs no server for that.
    run("mypy", DJANGO_SETTINGS_MODULE="jobsite.settings", DATABASE_URL="postgres://nobody@localhost/none", DEBUG="1")


def test_imports_run_one_way():
    run("lint-imports")


@pytest.mark.django_db
def test_every_model_has_its_migrations():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_production_settings_pass_djangos_deployment_check():
    run(
        "python", "manage.py", "check", "--deploy", "--fail-level", "WARNING",
        DJANGO_SETTINGS_MODULE="jobsite.settings", DEBUG="0", HTTPS="1",
        SECRET_KEY="kU3-" + "q7Zp_x" * 12, ALLOWED_HOSTS="jobs.example.org",
        DATABASE_URL="postgres://nobody@localhost/none",
    )  # fmt: skip
