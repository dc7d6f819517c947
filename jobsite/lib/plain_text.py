"""Make text from strangers (names, reasons, errors) safe to show where control characters act, such as a terminal."""


def one_line(text: object) -> str:
    r"""Return the text on one line, with each character that cannot be seen as an escape.

    A line break is `\n`, the start of a terminal's commands `\x1b`, and a change of direction `\u202e`. Which
    characters can be seen is what `str.isprintable` says: no category C or Z of Unicode, but for the space.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
