"""`make docs` builds every page into a site without a broken link, and the site loads nothing from another host."""

import re
import subprocess

import pytest

from tests.docs.reading import ROOT

pytestmark = pytest.mark.long

SITE = ROOT / ".site" / "html"
#: What a page loads by itself, other than what it links to.
LOADS = [
    re.compile(r"""<(?:script|img|iframe|source|link)\b[^>]*?(?:src|href)=["']?((?:https?:)?//[^"'> ]+)"""),
    re.compile(r"""url\(["']?((?:https?:)?//[^)"']+)"""),
    re.compile(r"""@import ["']((?:https?:)?//[^"']+)"""),
]


@pytest.fixture(scope="module")
def site() -> None:
    done = subprocess.run(["make", "docs"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_every_page_is_there_with_a_search(site: None) -> None:
    pages = {path.relative_to(ROOT).with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages = {page.with_name("index.html") if page.name == "README.html" else page for page in pages}
    assert {page for page in pages if not (SITE / page).is_file()} == set()
    assert (SITE / "index.html").is_file()
    assert "lease_lost" in (SITE / "search" / "search_index.json").read_text(encoding="utf-8")


def test_it_loads_nothing_from_another_host(site: None) -> None:
    files = [path for path in SITE.rglob("*") if path.suffix in {".html", ".css", ".svg"}]
    assert len(files) > 50
    found = {
        (path.name, address)
        for path in files
        for pattern in LOADS
        for address in pattern.findall(path.read_text(encoding="utf-8"))
    }
    assert found == set()
