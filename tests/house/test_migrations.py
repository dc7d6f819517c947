"""A migration does for ever what it did when it was written."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = sorted(
    path for app in ("alerts", "bots", "jobs", "jobsite") for path in (ROOT / app / "migrations").glob("0*.py")
)
#: Django compares a default by itself, so the function has to be the model's own.
DEFAULTS = {"alerts.models"}


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MIGRATIONS, ids=name)
def test_a_migration_carries_its_sql_and_reads_none_of_todays(path):
    ours = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) else []
        ours |= {module for module in modules if module.split(".")[0] in {"alerts", "bots", "jobs", "jobsite"}}
    assert ours <= DEFAULTS


@pytest.mark.parametrize("path", MIGRATIONS, ids=name)
def test_only_the_command_says_how_long_a_migration_waits_for_a_lock(path):
    assert "lock_timeout" not in path.read_text(encoding="utf-8")


def test_every_frozen_file_is_one_that_a_migration_runs():
    texts = "".join(path.read_text(encoding="utf-8") for path in MIGRATIONS)
    for path in ROOT.glob("*/migrations/sql/*"):
        assert f'"{path.name}"' in texts, name(path)
