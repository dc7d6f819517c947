"""Make text from strangers (names, notes, reasons, errors) safe for where it is shown. Pure.

It is stored as it came. Each function is for one sort of place: a line, a chat, a page, a cell of a table.
"""

import re

#: What acts where text is shown on a page: control characters, and overrides of the direction of other text.
_ACTING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
#: Values of fields of a form, which must come back as they are.
_FIELDS = re.compile(r'(<textarea\b.*?</textarea>|\bvalue="[^"]*")', re.IGNORECASE | re.DOTALL)
#: What chats make of text: mentions (`@everyone`, `<!channel>`), links and their texts. Cut after each match.
_MARKUP = re.compile(r"@(?=\w)|<(?=[!@#/\w])|\](?=\()|(?<=\w):(?=//)|\bwww(?=\.)", re.IGNORECASE)
#: Has no width, and ends what a chat would read as one.
_CUT = "\u200b"
#: How text begins that a spreadsheet runs as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def one_line(text: object) -> str:
    r"""Return the text on one line, for terminals, logs and mail, with each character that cannot be seen as an escape.

    A line break is `\n`, the start of a terminal's commands `\x1b`, and a change of direction `\u202e`. Which
    characters can be seen is what `str.isprintable` says: no category C or Z of Unicode, but for the space.
    """
    text = str(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def in_chat(text: object) -> str:
    """Return the text on one line, and as text: a chat makes no mention and no link of it."""
    return _MARKUP.sub(lambda match: match[0] + _CUT, one_line(text))


def in_page(page: str) -> str:
    """Return a page of HTML in which nothing acts on the text around it. Values of fields stay as they are."""
    if not _ACTING.search(page):
        return page
    parts = _FIELDS.split(page)
    return "".join(
        part if n % 2 else _ACTING.sub(lambda match: _escape(match[0]), part) for n, part in enumerate(parts)
    )


def in_cell(text: str) -> str:
    """Return the text for a cell of CSV, so that no spreadsheet runs it as a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
