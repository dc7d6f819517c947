"""What programs and people outside rely on does not change unawares: calls, routes, commands and settings."""

import pytest

from tests.contract.surface import SNAPSHOTS, SURFACES


@pytest.mark.parametrize("name", SURFACES)
def test_the_contract_is_as_it_was(name: str) -> None:
    """A change that is meant: `python -m tests.contract.surface`, and a line in the CHANGELOG."""
    assert SURFACES[name]() == (SNAPSHOTS / name).read_text(encoding="utf-8")
