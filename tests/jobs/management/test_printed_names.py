"""What bots call themselves and report neither steers an operator's terminal nor makes lines of its own."""

import io
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from bots.models import Bot
from jobs.models import Job
from jobsite.logs import LineFormatter
from tests.cast import bot_named, take_one

pytestmark = pytest.mark.django_db

EVIL = "evil\x1b[2J\nswept: all is well [red]x[/red]"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def evil(db: None) -> Bot:
    return bot_named(EVIL)


def printed(*args: Any, out: io.StringIO | None = None) -> str:
    out = out or io.StringIO()
    call_command(*args, stdout=out)
    return out.getvalue()


def harmless(text: str) -> bool:
    return "\x1b]" not in text and "\x1b[2" not in text and not [x for x in text.splitlines() if x.startswith("swept:")]


def test_a_sweep_prints_names_of_bots_as_text(evil: Bot) -> None:
    lease = take_one(evil)
    Job.objects.filter(pk=lease.id).update(heartbeat_at=Now() - timedelta(minutes=9), deadline_at=Now())
    text = printed("sweep_stuck", "--dry-run")
    assert harmless(text)
    assert r"evil\x1b[2J\nswept: all is well [red]x[/red]" in text


def test_a_sweep_on_a_terminal_does_too(evil: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = take_one(evil)
    Job.objects.filter(pk=lease.id).update(heartbeat_at=Now() - timedelta(minutes=9), deadline_at=Now())
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("COLUMNS", "300")
    text = printed("sweep_stuck", "--dry-run", out=out)
    assert harmless(text)
    assert r"evil\x1b[2J\nswept" in text
    assert "[red]x[/red]" in text


def test_explain_prints_errors_as_text(evil: Bot) -> None:
    lease = take_one(evil)
    lease.fail("boom \x1b]52;c;cm0=\x07\x1b[2K\nswept: fine", retry=False)
    text = printed("explain", str(lease.id))
    assert harmless(text)
    assert r"\x1b]52;c;cm0=\x07\x1b[2K\nswept: fine" in text


def test_enqueue_prints_bad_lines_as_text(tmp_path: Any, capsys: Any) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text('kind,priority\nsum,1,\x1b[2J\n"sum\n\x1b[2J",1\n')
    with pytest.raises(Exception, match="2 bad lines"):
        call_command("enqueue", str(path))
    assert harmless(capsys.readouterr().err)


def test_a_log_line_for_people_is_one_line() -> None:
    record = logging.LogRecord("jobsite", logging.INFO, "", 0, f"seen {EVIL}", (), None)
    assert LineFormatter("{message}", "{").format(record) == r"seen evil\x1b[2J\nswept: all is well [red]x[/red]"
