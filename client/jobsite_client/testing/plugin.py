"""The fixture for pytest, which finds it where `jobsite-client` is installed."""

from collections.abc import Iterator

import pytest

from .server import MemoryServer


@pytest.fixture
def jobsite_server() -> Iterator[MemoryServer]:
    """A Jobsite server in memory, for one test."""
    with MemoryServer() as server:
        yield server
