"""The pages of `docs/reference/` are what the code gives, and have everything that may be asked for there."""

import re

import pytest
from django.apps import apps
from django.core.management import get_commands

from tests.docs import reference
from tests.docs.reading import text_of


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_is_what_the_code_gives(name: str) -> None:
    written = text_of(f"docs/reference/{name}")
    assert written == reference.PAGES[name](), "`make docs`, or `python -m tests.docs.reference`, writes it"


def test_there_is_no_other_page() -> None:
    assert {path.name for path in reference.FOLDER.iterdir()} == set(reference.PAGES)


def test_every_command_of_ours_is_there() -> None:
    ours = {name for name, app in get_commands().items() if app in {a.name for a in apps.get_app_configs()}}
    ours = {name for name in ours if get_commands()[name] in reference.OURS}
    shown = set(re.findall(r"^## `(\w+)`$", text_of("docs/reference/commands.md"), flags=re.M))
    assert shown - {"make"} == ours


def test_every_setting_is_there() -> None:
    named = set(re.findall(r'env\.\w+\("(\w+)"', text_of("jobsite/settings.py")))
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", text_of("docs/reference/settings.md"), flags=re.M)) == named
