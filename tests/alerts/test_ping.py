"""The heartbeat URL is called after each sweep, and is never a reason for a sweep to fail."""

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from alerts import ping
from alerts.management.commands import sweep_stuck


class Monitor(ThreadingHTTPServer):
    """A monitor on this machine, which keeps what it was asked."""

    def __init__(self, status=200):
        self.asked = []
        self.status = status
        super().__init__(("127.0.0.1", 0), Asked)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/ping/secret?from=jobsite"


class Asked(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def monitor(settings):
    server = Monitor()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings.SWEEP_HEARTBEAT_URL = server.url
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.django_db
def test_a_sweep_calls_it_once(monitor, capsys):
    call_command("sweep_stuck")
    assert monitor.asked == ["/ping/secret?from=jobsite"]


@pytest.mark.django_db
def test_a_dry_run_and_a_sweep_of_one_kind_do_not(monitor, a_job, capsys):
    a_job()
    call_command("sweep_stuck", dry_run=True)
    call_command("sweep_stuck", kind="sum")
    assert monitor.asked == []


@pytest.mark.django_db
def test_a_sweep_that_fails_says_so(monitor, monkeypatch):
    def away(**options):
        raise OperationalError("gone")

    monkeypatch.setattr(sweep_stuck, "sweep", away)
    with pytest.raises(CommandError):
        call_command("sweep_stuck")
    assert monitor.asked == ["/ping/secret/fail?from=jobsite"]


@pytest.mark.django_db
def test_an_answer_that_is_an_error_is_logged_without_the_secret_and_the_sweep_goes_on(monitor, caplog, capsys):
    monitor.status = 500
    call_command("sweep_stuck")
    assert "the heartbeat URL at 127.0.0.1 answered 500" in caplog.text
    assert "secret" not in caplog.text


def test_a_monitor_that_is_away_is_logged(settings, unused_port, caplog):
    settings.SWEEP_HEARTBEAT_URL = f"http://127.0.0.1:{unused_port}/secret"
    assert ping.send() is False
    assert "the heartbeat URL at 127.0.0.1 was not reached" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "monitor", "http://"])
def test_only_http_is_called(settings, caplog, url):
    settings.SWEEP_HEARTBEAT_URL = url
    assert ping.send() is False
    assert "must begin with http" in caplog.text


def test_without_a_url_nobody_is_called_and_nothing_logged(settings, caplog):
    caplog.set_level(logging.INFO)
    assert settings.SWEEP_HEARTBEAT_URL == ""
    assert ping.send() is False
    assert caplog.text == ""
