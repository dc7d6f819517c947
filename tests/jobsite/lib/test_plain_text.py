"""Text from strangers is text wherever it is shown: no character of it acts, and no chat reads markup in it."""

import pytest

from jobsite.lib.plain_text import in_cell, in_chat, in_page, one_line


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


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("@everyone look", "@everyone"),
        ("@here", "@here"),
        ("<!channel>", "<!channel>"),
        ("<@U024BE7LH>", "<@U024BE7LH>"),
        ("<@&1234>", "<@&1234>"),
        ("[click](https://evil.example)", "](https"),
        ("<https://evil.example|your bank>", "https://"),
        ("http://evil.example/x", "http://"),
        ("www.evil.example", "www."),
        ("a\n@everyone", "@everyone"),
    ],
)
def test_a_chat_finds_no_mention_and_no_link_in_it(text: str, markup: str) -> None:
    shown = in_chat(text)
    assert markup not in shown
    assert shown.replace("\u200b", "") == one_line(text)


@pytest.mark.parametrize(
    "text", ["ada is stuck on a sum job", "silent for 6 m 10 s, limit 2 m; 3 < 4", "a@", "größe 🚀"]
)
def test_a_chat_gets_other_text_as_it_is(text: str) -> None:
    assert in_chat(text) == text


def test_nothing_on_a_page_acts_on_the_text_around_it() -> None:
    page = '<td title="a\u202eb">x\u202e\x1b[2J\x85y</td>\n<p>\u2066z\tö 🚀 \u05d0</p>'
    assert (
        in_page(page) == r'<td title="a\u202eb">x\u202e\x1b[2J\x85y</td>' + "\n<p>" + r"\u2066z" + "\tö 🚀 \u05d0</p>"
    )


def test_a_form_on_a_page_keeps_its_values() -> None:
    form = '<input value="a\u202e"><textarea name="p">\n\u202e\n</textarea><option value="\u202e">'
    assert in_page(f"{form}\u202e</option>") == form + r"\u202e</option>"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1", "＝1"])
def test_a_spreadsheet_runs_no_cell(text: str) -> None:
    assert in_cell(text) == f"'{text}"


def test_other_cells_stay_as_they_are() -> None:
    assert [in_cell(text) for text in ("", "a=1", "sum", "1-2")] == ["", "a=1", "sum", "1-2"]
