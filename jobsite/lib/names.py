"""Decide what a name may be: of bots, their processes, kinds, keys, channels and people, wherever it is entered."""

import csv
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

#: What a kind may be called: it stands in URLs, in CSV files and on command lines.
KIND_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*\Z"
#: Validates a field of a model with the name of a kind.
check_kind = RegexValidator(KIND_PATTERN, "Use letters, digits and . _ : / -, starting with a letter or digit.")


def fault(text: str) -> str:
    """Return what is wrong with a name, as a sentence; empty: nothing.

    A name is seen in lists, logs and terminals, and typed by people. So it has no character that cannot be seen
    (control characters, changes of direction, joiners), and no blank but the space, which is not at its ends.
    """
    hidden = next((c for c in text if not c.isprintable()), None)
    if hidden is not None:
        return f"Use only characters that can be seen; this has U+{ord(hidden):04X}."
    if text != text.strip():
        return "Remove the blank at its beginning or end."
    return ""


def check_name(text: str) -> None:
    """Check the field `name` of a model, in its `clean`. ValidationError for a name that may not be."""
    if message := fault(text):
        raise ValidationError({"name": message})


def names_in(text: str) -> list[str]:
    """Split a list of names at its commas. One that has a comma or a quote stands in quotes, as in CSV.

    ValueError, as a sentence, for quotes that do not match.
    """
    try:
        cells = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error:
        raise ValueError('Close each quote: one name, "another, with a comma".') from None
    return [name for cell in cells if (name := cell.strip())]


def names_out(names: Iterable[str]) -> str:
    """Write names as `names_in` reads them."""
    return ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"' if set(name) & set(',"\r\n') else name for name in names)


def header_fault(text: str) -> str:
    """Return what is wrong with a name that a header of HTTP carries, as `fault` does."""
    if not text.isascii():
        return "Use only ASCII characters: a header carries no others as they are."
    return fault(text)
