"""A command that runs in a loop ends quietly at a signal, wherever it is."""

import logging
import signal
from io import StringIO

import pytest
from django.core.management.base import BaseCommand

from jobsite.lib.loop import run_repeatedly


def test_a_connection_that_is_returned_in_the_midst_of_a_statement_is_no_line(caplog: pytest.LogCaptureFixture) -> None:
    pool = logging.getLogger("psycopg.pool")

    def once() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            pool.warning("closing returned connection")

    command = BaseCommand(stdout=StringIO(), stderr=StringIO())
    run_repeatedly(command, once, 0.01, "The sweep")
    assert caplog.records == []
    pool.warning("the next one is a line")
    assert len(caplog.records) == 1
