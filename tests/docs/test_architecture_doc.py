"""`docs/architecture.md` has every table of ours and no other, and names files that are there."""

import re

from django.apps import apps

from tests.docs.reading import ROOT, table, text_of, word
from tests.docs.reference import OURS

DOC = "docs/architecture.md"


def test_every_table_is_there_and_no_other() -> None:
    real = {model._meta.db_table for app in OURS for model in apps.get_app_config(app).get_models()}
    assert {word(row["table"]) for row in table(DOC, "table", "has")} == real


def test_every_file_on_the_path_of_a_request_is_there() -> None:
    named = set(re.findall(r"`((?:jobsite|jobs|alerts|bots)/[\w/.]*)`", text_of(DOC)))
    assert len(named) > 10
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_every_package_that_runs_by_itself_is_named() -> None:
    for command in ("sweep_stuck", "send_alerts"):
        assert command in text_of(DOC)
