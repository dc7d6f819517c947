"""Rules that no tool knows: this file walks the syntax trees."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for package in ("jobsite", "alerts", "jobs", "bots")
    for path in (ROOT / package).rglob("*.py")
    if "migrations" not in path.parts
)
STATE = {
    "status", "attempt", "uncounted", "claimed_by", "claimed_by_id", "claimed_at", "started_at", "heartbeat_at",
    "deadline_at", "finished_at", "progress", "result",
}  # fmt: skip
PURE = [
    "jobs/patterns/standing_out.py", "jobs/patterns/verdict.py", "jobs/together.py",
    "jobs/states.py", "jobs/errors.py", "jobs/backoff.py", "bots/health.py", "bots/states.py", "alerts/states.py",
    "alerts/inside.py", "alerts/guard.py", "alerts/apart.py", "alerts/timing.py", "alerts/signing.py",
    "alerts/rates.py", "alerts/errors.py",
]  # fmt: skip


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PURE)
def test_pure_modules_use_no_orm_and_no_settings(path):
    allowed = {"django.db.models.TextChoices"}
    found = {module for module in imports(ROOT / path) if module.startswith("django")}
    assert found <= allowed


@pytest.mark.parametrize("path", [p for p in SOURCES if name(p) != "jobsite/settings.py"], ids=name)
def test_only_settings_read_the_environment(path):
    # The entry points say which settings; the embedded server and the demo hand the environment on to others.
    if name(path) in {"jobsite/wsgi.py", "jobsite/postgres.py", "jobsite/demo.py"}:
        return
    assert not [module for module in imports(path) if module in {"environ", "os.environ", "os.getenv"}]
    assert not [n for n in ast.walk(tree(path)) if isinstance(n, ast.Attribute) and n.attr in {"environ", "getenv"}]


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_there_are_no_signals(path):
    assert not [module for module in imports(path) if "signals" in module or module.endswith("dispatch.receiver")]


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_model_hides_logic_in_save(path):
    classes = [n for n in ast.walk(tree(path)) if isinstance(n, ast.ClassDef)]
    assert not [
        c.name for c in classes for n in c.body if isinstance(n, ast.FunctionDef) and n.name in ("save", "delete")
    ]


def test_no_module_is_called_after_nothing():
    assert not [name(p) for p in SOURCES if p.stem in {"utils", "helpers", "services", "core", "common", "misc"}]


@pytest.mark.parametrize("path", [p for p in SOURCES if name(p) != "jobs/lifecycle.py"], ids=name)
def test_only_the_lifecycle_writes_job_state(path):
    """Nobody else assigns a job's state, and nobody else updates or creates jobs."""
    written = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in STATE:
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if owner in {"job", "obj"}:
                written.append(node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            chain = ast.unparse(node.func)
            writes = node.func.attr in {"update", "create", "bulk_create", "bulk_update", "delete", "get_or_create"}
            if writes and chain.startswith(("Job.objects", "JobEvent.objects")):
                written.append(node.lineno)
    assert written == []


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_only_their_own_module_writes_incidents(path):
    """`alerts.roll` writes the bots in them, for `alerts.incidents`; `alerts.pruning` deletes what is old."""
    if name(path) in {"alerts/incidents.py", "alerts/roll.py", "alerts/pruning.py"}:
        return
    calls = [n for n in ast.walk(tree(path)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    writes = {"update", "create", "bulk_create", "bulk_update", "delete", "get_or_create", "update_or_create"}
    written = [
        n.lineno
        for n in calls
        if n.func.attr in writes
        and ast.unparse(n.func).startswith(("Incident.objects", "IncidentBot.objects", "IncidentNote.objects"))
    ]
    assert written == []


def test_statements_that_change_jobs_are_only_run_by_the_lifecycle():
    changing = {
        path.stem
        for path in (ROOT / "jobs" / "sql").glob("*.sql")
        if re.search(r"(UPDATE|INSERT INTO|DELETE FROM)\s+jobs_job(event)?\b", path.read_text(encoding="utf-8"))
    }
    users = {name(p) for p in SOURCES if "jobs.sql.statement" in set(imports(p))}
    # The console's figures come from statements, too; none of those writes to a job or its history.
    assert users == {"jobs/lifecycle.py", "jobs/figures.py"}
    for path in SOURCES:
        if name(path) == "jobs/lifecycle.py":
            continue
        calls = [n for n in ast.walk(tree(path)) if isinstance(n, ast.Call) and ast.unparse(n.func).endswith("ask")]
        run = {n.args[0].value for n in calls if n.args and isinstance(n.args[0], ast.Constant)}
        assert not run & changing, path


def test_each_statement_says_in_english_what_it_does():
    for path in (ROOT / "jobs" / "sql").glob("*.sql"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(("-- ", "/* ")), path.name
        assert len(first) > 30, path.name
