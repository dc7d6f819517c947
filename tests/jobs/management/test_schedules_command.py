"""`manage.py schedules` lists schedules, and applies a file of them, all or none."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from bots.models import AuditEntry
from jobs.models import Schedule
from tests.jobs.schedules.rules import a_schedule, fire, off_for

pytestmark = pytest.mark.django_db

NIGHTLY = {"name": "nightly", "kind": "report", "cron": "0 3 * * *", "time_zone": "Europe/Berlin"}
HOURLY = {"name": "hourly", "kind": "sum", "every": 3600, "payload": {"numbers": [1]}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "schedules.json"


def apply(file: Path, items: Any, *flags: str) -> list[str]:
    file.write_text(json.dumps(items))
    out = StringIO()
    call_command("schedules", "apply", str(file), *flags, stdout=out)
    return out.getvalue().splitlines()


def test_a_file_makes_and_changes_schedules_and_the_same_again_nothing(file: Path) -> None:
    assert apply(file, [NIGHTLY, HOURLY]) == ["nightly: created", "hourly: created", f"2 schedules in {file}"]
    before, entries = list(Schedule.objects.order_by("pk").values()), AuditEntry.objects.count()
    assert apply(file, [NIGHTLY, HOURLY])[:2] == ["nightly: as it was", "hourly: as it was"]
    assert list(Schedule.objects.order_by("pk").values()) == before and AuditEntry.objects.count() == entries
    assert apply(file, [NIGHTLY, HOURLY | {"every": 60}])[1] == "hourly: changed every"
    assert {entry.via for entry in AuditEntry.objects.all()} == {"command"}


def test_prune_deletes_only_what_the_same_file_made(file: Path, tmp_path: Path) -> None:
    a_schedule("by-hand")
    apply(tmp_path / "other.json", [NIGHTLY | {"name": "others"}])
    apply(file, [NIGHTLY, HOURLY])
    assert apply(file, [NIGHTLY], "--prune")[1] == "hourly: deleted"
    assert set(Schedule.objects.values_list("name", flat=True)) == {"by-hand", "others", "nightly"}
    assert apply(file, [NIGHTLY, HOURLY], "--prune", "--dry-run")[-1] == f"Dry run: 2 schedules in {file}"
    assert Schedule.objects.count() == 3


def test_a_pause_stays_when_the_file_is_applied(file: Path) -> None:
    apply(file, [NIGHTLY])
    Schedule.objects.update(paused=True, pause_reason="move")
    apply(file, [NIGHTLY | {"priority": 3}])
    assert Schedule.objects.get().pause_reason == "move"


@pytest.mark.parametrize(
    ("items", "fault"),
    [
        ([NIGHTLY, HOURLY | {"every": 0}], "hourly: every:"),
        ([NIGHTLY | {"cron": "61 * * * *"}], "nightly: cron: Bad minute"),
        ([NIGHTLY | {"time_zone": "Mars"}], "nightly: time_zone:"),
        ([NIGHTLY | {"every": 60}], "nightly: Give a cron line"),
        ([{"kind": "sum", "every": 60}], "item 1: name:"),
        ([NIGHTLY | {"paused": True}], "nightly: paused:"),
        ([NIGHTLY, NIGHTLY], "nightly is there twice"),
        ({"schedules": []}, "list"),
        ([NIGHTLY | {"name": "preview"}], "name: Use letters"),
    ],
)
def test_a_fault_names_the_schedule_and_the_field_and_changes_nothing(file: Path, items: Any, fault: str) -> None:
    with pytest.raises(CommandError, match="Nothing was changed") as error:
        apply(file, items)
    assert fault in str(error.value)
    assert not Schedule.objects.exists()


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("schedules", "apply", str(file))


def test_the_list_has_what_comes_and_what_was() -> None:
    off_for(timedelta(seconds=5))
    a_schedule("weekly", cron="0 3 * * MON")
    fire()
    out = StringIO()
    call_command("schedules", "list", stdout=out)
    assert "At 03:00 on Monday, UTC" in out.getvalue() and "enqueued" in out.getvalue()
    out = StringIO()
    call_command("schedules", "list", "--json", stdout=out)
    assert [json.loads(line)["name"] for line in out.getvalue().splitlines()] == ["nightly", "weekly"]
