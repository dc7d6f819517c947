"""A migration does for ever what it did when it was written."""

import ast

from tests.house.each import ROOT, name, of_each, text, tree

MIGRATIONS = sorted(
    path for app in ("alerts", "bots", "jobs", "jobsite") for path in (ROOT / app / "migrations").glob("0*.py")
)
#: Django compares a default by itself, so the function has to be the model's own.
DEFAULTS = {"alerts.models"}


@of_each(MIGRATIONS)
def test_a_migration_carries_its_sql_and_reads_none_of_todays(path):
    ours = set()
    for node in ast.walk(tree(path)):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) else []
        ours |= {module for module in modules if module.split(".")[0] in {"alerts", "bots", "jobs", "jobsite"}}
    assert ours <= DEFAULTS


@of_each(MIGRATIONS)
def test_only_the_command_says_how_long_a_migration_waits_for_a_lock(path):
    assert "lock_timeout" not in text(path)


def test_every_frozen_file_is_one_that_a_migration_runs():
    texts = "".join(text(path) for path in MIGRATIONS)
    for path in ROOT.glob("*/migrations/sql/*"):
        assert f'"{path.name}"' in texts, name(path)
