"""Text from strangers is shown on one line, and no character of it acts."""

import pytest

from jobsite.lib.plain_text import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 🚀 (2/3)", "größe 🚀 (2/3)"),
        ("a\nswept: all is well", r"a\nswept: all is well"),
        ("\x1b]52;c;cm0=\x07\x1b[2K", r"\x1b]52;c;cm0=\x07\x1b[2K"),
        ("\x9b2J", r"\x9b2J"),
        ("ada\u202egnp.exe", r"ada\u202egnp.exe"),
        ("a\u00a0b\u2028c\u200bd", r"a\xa0b\u2028c\u200bd"),
        ("\ud800", r"\ud800"),
        (17, "17"),
    ],
)
def test_a_character_that_cannot_be_seen_is_shown_as_an_escape(text: object, shown: str) -> None:
    assert one_line(text) == shown
