"""Every decision has the one form, is in the index, and names nothing that is no longer there."""

import re
from datetime import date
from functools import cache

import pytest

from tests.docs.reading import ROOT, text_of

FOLDER = ROOT / "docs" / "decisions"
PAGES = sorted(path.name for path in FOLDER.glob("0*.md"))
HEADINGS = ["## Context", "## Decision", "## Consequences"]
CODE = {".py", ".sql", ".js", ".mjs", ".css", ".html", ".toml", ".txt", ".yml", ".json", ""}
#: Names of the system's.
OUTSIDE = {"TMPDIR"}
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/(?:[\w-]+\.\w+)?")
NAME = re.compile(r"[A-Za-z_][\w-]*(?:\.\w+)*(?:\(\))?")


def page(name: str) -> str:
    return text_of(f"docs/decisions/{name}")


@cache
def files() -> dict[str, str]:
    """The text of each file of the project, by its path; without what is made here, and the tests of the docs."""
    tops = [path for path in ROOT.iterdir() if not path.name.startswith(".")]
    paths = [path for top in tops for path in ([top] if top.is_file() else sorted(top.rglob("*")))]
    own = [path for path in paths if path.is_file() and not {"node_modules", "__pycache__"} & set(path.parts)]
    read = {str(path.relative_to(ROOT)): path for path in own if path.suffix in CODE | {".md"}}
    return {name: path.read_text(encoding="utf-8") for name, path in read.items() if not name.startswith("tests/docs/")}


@cache
def code() -> str:
    """Everything in the repository that is not prose."""
    return "\n".join(text for name, text in files().items() if not name.endswith(".md"))


def test_numbers_have_no_gap():
    assert [int(name[:4]) for name in PAGES] == list(range(1, len(PAGES) + 1))
    assert 10 <= len(PAGES) <= 24


@pytest.mark.parametrize("name", PAGES)
def test_each_has_title_status_date_what_it_supersedes_and_three_chapters(name):
    title, _, status, day, supersedes, *_ = page(name).splitlines()
    assert re.fullmatch(rf"# {name[:4]}\. [A-Z].+", title)
    assert re.fullmatch(r"- Status: (accepted|proposed|superseded by \d{4})", status)
    assert date.fromisoformat(day.removeprefix("- Date: ")) <= date.today()
    assert re.fullmatch(r"- Supersedes: (none|\d{4}(, \d{4})*)", supersedes)
    assert re.findall(r"^## .*$", page(name), flags=re.M) == HEADINGS
    for chapter in re.split(r"^## .*$", page(name), flags=re.M)[1:]:
        assert len(chapter.split()) >= 20


def test_the_index_has_each_page_once_and_in_order():
    listed = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.+\.) \|$", page("README.md"), flags=re.M)
    assert [target for _, target, _ in listed] == PAGES
    assert [number for number, _, _ in listed] == [name[:4] for name in PAGES]


def test_no_former_page_is_superseded_twice():
    superseded = [n for name in PAGES for n in re.findall(r"\d{4}", page(name).splitlines()[4])]
    assert len(superseded) == len(set(superseded))


@pytest.mark.parametrize("name", PAGES)
def test_what_it_names_exists(name):
    """Files and folders are there, and functions, indexes, settings and columns stand somewhere in the code."""
    quoted = set(re.findall(r"`([^`]+)`", page(name))) - OUTSIDE
    paths = {text for text in quoted if PATH.fullmatch(text)}
    names = {text for text in quoted - paths if NAME.fullmatch(text)}
    assert {path for path in paths if not (ROOT / path).exists()} == set()
    assert {name for name in names if name.removesuffix("()").split(".")[-1] not in code()} == set()


def test_every_decision_that_is_named_elsewhere_exists():
    """Migrations are left out: they keep the words of their time."""
    for name, text in files().items():
        if "/migrations/" in name:
            continue
        for named in re.findall(r"decisions/(\d{4}[\w-]*(?:\.md)?)", text):
            assert named in PAGES, (name, named)
