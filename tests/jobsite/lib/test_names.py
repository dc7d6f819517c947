"""Names in a list with commas are those that were written there, whatever is in them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobsite.lib.names import fault, names_in, names_out


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        (" , ", []),
        ("ada", ["ada"]),
        ("ada, bob,carl", ["ada", "bob", "carl"]),
        ('"ada, the first", bob', ["ada, the first", "bob"]),
        ('"the ""second"""', ['the "second"']),
        ("o'neill", ["o'neill"]),
        ('5" disk', ['5" disk']),
    ],
)
def test_a_list_is_split_at_its_commas(text: str, names: list[str]) -> None:
    assert names_in(text) == names


@pytest.mark.parametrize("text", ['"ada', 'ada, "bob', '"ada" bob'])
def test_quotes_that_do_not_match_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="Close each quote"):
        names_in(text)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.text(min_size=1, max_size=6).filter(lambda name: not fault(name)), max_size=4))
def test_names_that_were_written_are_read_again(names: list[str]) -> None:
    assert names_in(names_out(names)) == names
