"""`docs/development/where-is.md` answers each question with one path, and every path exists."""

import re

import pytest

from tests.docs.reading import ROOT, table, text_of, word

DOC = "docs/development/where-is.md"
#: What a newcomer asks of the tree. The page may word it more fully.
QUESTIONS = [
    "released", "order of claims", "token checked", "limit learned", "text of a notification", "chart of releases",
    "kind created", "backoff", "409", "pruning", "search of the list", "What needs you now", "Content-Security-Policy",
    "wakes a waiting claim", "who may write job state", "`down`", "rules for a payload", "capacity enforced",
    "sweep's decision", "numbers of `/metrics`", "webhook sent", "paging of the API",
]  # fmt: skip
ROWS = {row["where is"]: word(row["path"]) for row in table(DOC, "where is", "path")}


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_has_one_answer(question):
    assert len([asked for asked in ROWS if question in asked]) == 1


@pytest.mark.parametrize("path", ROWS.values())
def test_every_answer_is_a_file(path):
    assert (ROOT / path).is_file()


def test_every_package_named_is_there():
    named = re.findall(r"`([a-z_/]+/)`", text_of(DOC))
    assert len(named) > 10
    assert {path for path in named if not (ROOT / path).is_dir()} == set()


def test_every_package_of_jobs_is_named():
    packages = {f"jobs/{path.parent.name}/" for path in (ROOT / "jobs").glob("*/__init__.py")}
    named = set(re.findall(r"`(jobs/[a-z_]+/)`", text_of(DOC)))
    assert packages - {"jobs/migrations/", "jobs/templatetags/"} == named
