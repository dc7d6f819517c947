"""The examples of the OpenAPI document are true: each body is accepted, and each answer is what the server answers."""

import json
import os

import pytest

from jobs.api.document.examples import RECORDED
from tests.contract.answers import FILE, recorded


@pytest.mark.django_db
def test_each_call_answers_as_the_document_shows() -> None:
    """A change that is meant: `python -m tests.contract.surface`."""
    answers = recorded()
    if "RECORD_ANSWERS" in os.environ:
        FILE.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    else:
        assert answers == RECORDED
