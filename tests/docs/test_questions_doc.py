"""`docs/questions.md` answers what people ask first, each with a link to the page that has the rest."""

import re

import pytest

from tests.docs.reading import text_of

DOC = "docs/questions.md"
#: What operators, authors of bots and developers asked of the docs, by a word or two of each question.
ASKED = [
    "see it working", "upgrade", "jobs a second", "clock is wrong", "look only", "get mail", "unhealthy", "back up",
    "two web servers", "bot in Go", "replace a bot's token", "jobs kept", "run twice", "Windows", "nginx", "payload be",
    "Prometheus", "retries and backoff", "cancel a job", "each night", "comes first", "only once", "409", "settings",
    "database is away", "machine dies", "add a kind", "Release do", "Where do I begin", "HSTS", "systemd", "Docker",
]  # fmt: skip
ANSWERS = dict(re.findall(r"^\*\*([^*]+\?)\*\* ((?:.+\n)+)", text_of(DOC), flags=re.M))


@pytest.mark.parametrize("words", ASKED)
def test_it_is_answered(words: str) -> None:
    assert [question for question in ANSWERS if words in question]


def test_each_answer_leads_to_the_rest() -> None:
    short = {"Which version do I run?", "How do I replace it without a gap?"}
    assert {question for question, answer in ANSWERS.items() if "](" not in answer} == short


def test_the_index_leads_to_it() -> None:
    assert "](questions.md)" in text_of("docs/index.md")
