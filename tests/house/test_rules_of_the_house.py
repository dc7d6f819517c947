"""Rules that no tool knows: this file walks the syntax trees."""

import ast
import re

import pytest
from django.contrib import admin

from tests.house.each import ROOT, name, of_each, text, tree

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
#: A module is pure when its docstring says so.
PURE = [path for path in SOURCES if re.search(r"\bPure[.:]", ast.get_docstring(tree(path)) or "")]
#: What may write the state of jobs: the lifecycle, and what inserts new ones.
WRITERS = ("jobs/lifecycle/", "jobs/enqueue/insert.py")


def imports(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@of_each(PURE)
def test_pure_modules_use_no_orm_and_no_settings(path):
    allowed = {"django.db.models.TextChoices", "django.utils.html.format_html", "django.utils.html.format_html_join"}
    allowed |= {"django.utils.safestring.SafeString", "django.utils.safestring.mark_safe"}
    found = {module for module in imports(path) if module.startswith("django")}
    assert found <= allowed


def test_the_modules_whose_arithmetic_others_rely_on_are_pure():
    pure = {name(path) for path in PURE}
    assert pure >= {
        "jobs/states.py", "jobs/transitions.py", "jobs/errors.py", "jobs/backoff.py", "bots/health.py",
        "bots/states.py", "alerts/states.py",
        "jobs/release_patterns/outliers.py", "jobs/release_patterns/conclusions.py", "jobs/turns/combining.py",
        "jobs/turns/frontier.py", "alerts/delivery/networks.py", "alerts/delivery/timing.py",
        "alerts/delivery/signing.py", "alerts/incidents/failure_rate.py", "alerts/errors.py",
        "jobsite/lib/errors.py", "jobsite/lib/proportions.py",
    }  # fmt: skip


@of_each([p for p in SOURCES if name(p).startswith("jobsite/lib/")])
def test_the_ground_floor_knows_no_package_above_it(path):
    above = ("alerts", "jobs", "bots", "jobsite")
    found = {module for module in imports(path) if module.partition(".")[0] in above}
    assert not {module for module in found if not module.startswith("jobsite.lib")}


@of_each([p for p in SOURCES if name(p) != "jobsite/settings.py"])
def test_only_settings_read_the_environment(path):
    # The entry points say which settings; the others hand the environment on to what they start.
    if name(path) in {
        "jobsite/__main__.py",
        "jobsite/asgi.py",
        "jobsite/wsgi.py",
        "jobsite/management/commands/serve.py",
        "jobsite/dev/postgres.py",
        "jobsite/dev/demo.py",
        "jobsite/dev/pgbouncer.py",
    }:
        return
    assert not [module for module in imports(path) if module in {"environ", "os.environ", "os.getenv"}]
    assert not [n for n in ast.walk(tree(path)) if isinstance(n, ast.Attribute) and n.attr in {"environ", "getenv"}]


@of_each(SOURCES)
def test_there_are_no_signals(path):
    assert not [module for module in imports(path) if "signals" in module or module.endswith("dispatch.receiver")]


@of_each(SOURCES)
def test_no_model_hides_logic_in_save(path):
    classes = [n for n in ast.walk(tree(path)) if isinstance(n, ast.ClassDef)]
    methods = [n for c in classes for n in c.body if isinstance(n, ast.FunctionDef) and n.name in ("save", "delete")]
    # One that only refuses has no logic.
    assert not [m.name for m in methods if not all(isinstance(n, ast.Expr | ast.Raise) for n in m.body)]


def test_no_module_is_called_after_nothing():
    assert not [name(p) for p in SOURCES if p.stem in {"utils", "helpers", "services", "core", "common", "misc"}]


@of_each([p for p in SOURCES if not name(p).startswith(WRITERS)])
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


@of_each(SOURCES)
def test_only_their_own_module_writes_incidents(path):
    if name(path).startswith("alerts/incidents/"):
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


def test_only_the_lifecycle_has_statements_that_change_jobs():
    changing = r"(UPDATE|INSERT INTO|DELETE FROM|COPY)\s+jobs_job(event)?\b"
    elsewhere = [
        name(path)
        for path in ROOT.rglob("*.sql")
        if path.relative_to(ROOT).parts[0] in ("jobsite", "alerts", "jobs", "bots")
        and not name(path).startswith(("jobs/lifecycle/sql/", "jobs/enqueue/sql/"))
        and "migrations" not in path.parts
        and re.search(changing, text(path))
    ]
    # The seeder writes a past that never was; it is for development.
    assert elsewhere == ["jobsite/dev/sql/seed.sql"]


def test_each_statement_says_in_english_what_it_does():
    for path in [p for p in (ROOT / "jobs").rglob("sql/**/*.sql") if "migrations" not in p.parts]:
        first = text(path).splitlines()[0]
        assert first.startswith(("-- ", "/* ")), path.name
        assert len(first) > 30, path.name


#: A bot's state: each of its columns, and the statements of SQL that may set it.
BOT_STATE = {
    "status": {"functions/jobs_touch_bots.sql"},
    "last_seen_at": {"functions/jobs_touch_bots.sql"},
    "version": {"functions/jobs_touch_bots.sql"},
    "health_status": {"functions/jobs_touch_bots.sql", "grade.sql"},
    "health_reason": {"functions/jobs_touch_bots.sql", "grade.sql"},
    "stuck_job_id": {"functions/jobs_touch_bots.sql", "grade.sql", "prune.sql"},
}


@pytest.mark.parametrize("column", BOT_STATE)
def test_a_bots_state_is_set_by_these_statements_alone(column):
    home = ROOT / "jobs" / "lifecycle" / "sql"
    setting = {
        str(path.relative_to(home))
        for path in home.rglob("*.sql")
        for update in re.findall(r"UPDATE bots_bot\b(.*?)(?:\bFROM\b|\bWHERE\b)", text(path), re.S)
        if re.search(rf"(SET|,)\s+{column} =", update)
    }
    assert setting == BOT_STATE[column]


@of_each(SOURCES)
def test_no_python_sets_a_bots_state_but_that_it_is_down(path):
    state = set(BOT_STATE) | {"stuck_job"}
    written = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "update"
        and "Bot.objects" in ast.unparse(node.func)
        and state & {keyword.arg for keyword in node.keywords}
    ]
    assert len(written) == (1 if name(path) == "jobs/lifecycle/holders.py" else 0)


@of_each([p for p in SOURCES if name(p) != "jobsite/lib/locks.py"])
def test_advisory_locks_are_taken_by_their_names_alone(path):
    assert "pg_try_advisory" not in text(path)
    assert "pg_advisory" not in text(path)


def test_no_statement_takes_an_advisory_lock():
    statements = [
        path
        for path in ROOT.rglob("*.sql")
        if path.relative_to(ROOT).parts[0] in ("jobsite", "alerts", "jobs", "bots") and "migrations" not in path.parts
    ]
    assert statements
    assert [name(p) for p in statements if "advisory" in p.read_text(encoding="utf-8")] == []


def test_styles_name_columns_of_the_admin_that_exist():
    """A column's class in HTML is its name, so a renamed one loses its style and its label on a phone."""
    styled = set(re.findall(r"\.field-(\w+)", (ROOT / "jobs/static/jobs/console.css").read_text(encoding="utf-8")))
    columns = {name for model_admin in admin.site._registry.values() for name in dir(model_admin)}
    columns |= {field.name for model in admin.site._registry for field in model._meta.get_fields()}
    assert styled
    assert styled <= columns
