"""The pages have short sentences, in the words of the glossary."""

import re

import pytest

from tests.docs.reading import ROOT, table, text_of

PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "UPGRADING.md"]
PAGES += ["CODE_OF_CONDUCT.md", "client/README.md", "client-js/README.md", "bench/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
LONGEST = 30
#: Words of a private language, and what the field calls it.
INSTEAD = {
    r"said": "sent, reported, printed",
    r"told": "notified, sent",
    r"whoever|hereby|meanwhile|anew|nought": "plain words",
    r"(former|earlier) (self|li(fe|ves))": "previous instance",
    r"the house|the site": "the installation",
    r"unwell": "not healthy",
    r"far side": "receiver",
    r"(taken|takes|gives?) back": "released, expired or handed back",
    r"whole turn": "exchange",
    r"the meter|a tally": "statistics",
}
ENDS = re.compile(r'(?<=[.!?:;])\s+(?=[A-Z*"(]|CODE)')
ITEM = re.compile(r"^\s*(?:[-*]|\d+\.) ")


def prose(page: str) -> list[str]:
    """The paragraphs and list items of a page, without code, tables and what the bench writes."""
    text = re.sub(r"```.*?```|<!-- bench: .*?<!-- end -->", "", text_of(page), flags=re.S)
    blocks: list[str] = [""]
    for line in text.splitlines():
        if not line.strip() or line.startswith(("#", "|", "![", "<!--", "    ")):
            blocks.append("")
        elif ITEM.match(line):
            blocks.append(ITEM.sub("", line))
        else:
            blocks[-1] += " " + line.strip()
    return [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "CODE", block)) for block in blocks if block]


@pytest.mark.parametrize("page", PAGES)
def test_sentences_are_short(page):
    sentences = [sentence for block in prose(page) for sentence in ENDS.split(block)]
    assert [sentence for sentence in sentences if len(sentence.split()) > LONGEST] == []


@pytest.mark.parametrize("page", PAGES)
def test_words_are_those_of_the_field(page):
    text = "\n".join(prose(page))
    found = {instead: re.findall(rf"\b(?:{words})\b.*", text, flags=re.I) for words, instead in INSTEAD.items()}
    assert {instead: lines for instead, lines in found.items() if lines} == {}


def test_the_glossary_has_each_term_once():
    chapters = text_of("docs/glossary.md").split("\n## ")[1:]
    terms = re.findall(r"^\| \*\*([^*]+)\*\*", text_of("docs/glossary.md"), flags=re.M)
    assert len(chapters) == 3 and len(terms) == len(set(terms)) >= 50
    assert table("docs/glossary.md", "term", "meaning")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_glossary_is_linked(page):
    assert "](docs/glossary.md)" in text_of(page)


def test_the_readme_names_the_two_commands_to_begin_with():
    first = text_of("README.md").split("```sh\n")[1].split("```")[0]
    assert re.findall(r"^make (\w+)", first, flags=re.M) == ["run", "test"]
