"""`docs/index.md` leads to every page of the docs, and so does the site's navigation."""

import re

from tests.docs.reading import ROOT, text_of

#: Decisions have an index of their own.
OWN_INDEX = "docs/decisions/"


def pages() -> set[str]:
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    return {page for page in found if not page.startswith(OWN_INDEX)} | {"docs/decisions/README.md"}


def test_the_index_leads_to_every_page() -> None:
    linked = {target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text_of("docs/index.md"))}
    assert pages() - {f"docs/{target}" for target in linked} == {"docs/index.md"}


def test_the_navigation_of_the_site_has_every_page() -> None:
    listed = re.findall(r"^\s*- (?:[^:]+: )?(\S+\.md)$", text_of("mkdocs.yml"), flags=re.M)
    assert len(listed) == len(set(listed))
    assert {page for page in listed if not (ROOT / page).is_file()} == set()
    decisions = {str(path.relative_to(ROOT)) for path in (ROOT / OWN_INDEX).glob("0*.md")}
    outside = {"README.md", "CHANGELOG.md", "UPGRADING.md", "SECURITY.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md"}
    outside |= {"client/README.md", "client-js/README.md", "bench/README.md"}
    assert set(listed) == pages() | decisions | outside
