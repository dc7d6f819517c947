"""How large files and functions may be, what each file says of itself, and what stands in one place alone."""

import ast
import re
import subprocess
from collections.abc import Iterator

from tests.house.each import ROOT, of_each, text, tree

PACKAGES = ("jobsite", "alerts", "jobs", "bots")


def files(*suffixes: str, packages: tuple[str, ...] = PACKAGES) -> list[str]:
    """Files of these packages that are under version control or about to be; migrations keep what they were."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *packages]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    found = {path for path in listed if path.endswith(suffixes) and "/migrations/" not in path}
    return sorted(path for path in found if (ROOT / path).is_file())


PYTHON = files(".py")
SQL = files(".sql")


# --- Sizes ------------------------------------------------------------------------------------------------------------


@of_each(files(".py", ".sql", packages=(*PACKAGES, "client", "bench")))
def test_a_file_has_at_most_300_lines(path: str) -> None:
    assert len(text(path).splitlines()) <= 300


@of_each(SQL)
def test_a_source_of_sql_has_at_most_120_lines(path: str) -> None:
    assert len(text(path).splitlines()) <= 120


@of_each(PYTHON)
def test_a_function_has_at_most_40_lines(path: str) -> None:
    long = [
        node.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.body[0].lineno >= 40
    ]
    assert long == []


# --- What a file says of itself ---------------------------------------------------------------------------------------


@of_each([path for path in PYTHON if text(path).strip()])
def test_a_module_begins_with_a_sentence_about_what_it_knows(path: str) -> None:
    doc = ast.get_docstring(tree(path)) or ""
    first = " ".join(doc.partition("\n\n")[0].split())
    assert re.match(r"[A-Z`].*[.?:!]", first), path


# --- What is private ----------------------------------------------------------------------------------------------


def private_uses(path: str) -> Iterator[str]:
    """Underscored names of other modules that a module imports, or takes from a module it imports."""
    modules = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            for alias in node.names:
                if alias.name.startswith("_"):
                    yield f"{node.module}.{alias.name}"
                target = ROOT / str(node.module).replace(".", "/") / alias.name
                if target.with_suffix(".py").exists() or target.is_dir():
                    modules.add(alias.asname or alias.name)
    for node in ast.walk(tree(path)):
        owner = node.value.id if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) else ""
        if isinstance(node, ast.Attribute) and owner in modules and node.attr.startswith("_") and node.attr[1] != "_":
            yield f"{owner}.{node.attr}"


@of_each(PYTHON)
def test_no_module_uses_a_private_name_of_another(path: str) -> None:
    assert list(private_uses(path)) == []


# --- What is written once ---------------------------------------------------------------------------------------------

#: What may stand in one source of SQL alone, and in which. The seeder writes a past that never was.
ONCE = {
    "jobs/lifecycle/sql/event.sql": r"INSERT INTO jobs_jobevent",
    "jobs/lifecycle/sql/lease.sql": r"status IN \('claimed', 'processing'\)\s+AND[^;]{0,60}claimed_by_id = ",
    "jobs/lifecycle/sql/holder_cleared.sql": r"claimed_by_id = NULL",
    "jobs/lifecycle/sql/attempt_cleared.sql": r"heartbeat_at = (NULL|CASE)",
    "jobs/lifecycle/sql/changes.sql": r"AS bot_name",
}


@of_each([path for path in SQL if path != "jobsite/dev/sql/seed.sql"])
def test_fragments_are_not_written_out_again(path: str) -> None:
    assert [home for home, pattern in ONCE.items() if home != path and re.search(pattern, text(path))] == []
