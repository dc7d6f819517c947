"""When the clocks change, a fixed hour fires once a day all the same, and `*` goes by elapsed time."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.schedules.timing import Timing, line_fault, zone_fault

BERLIN, NEW_YORK, LORD_HOWE, AZORES = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Atlantic/Azores"


def moments(line: str, zone: str, after: str, n: int) -> list[str]:
    """The next moments after one in UTC, in UTC."""
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = Timing(line, None, zone, start).after(start)
    return [f"{next(found):%m-%d %H:%M}" for _ in range(n)]


@pytest.mark.parametrize(
    ("zone", "line", "after", "expected"),
    [
        # Forward: the hour that does not exist. The moment is the first after it, once.
        (BERLIN, "30 2 * * *", "2026-03-28 12:00", ["03-29 01:00", "03-30 00:30"]),
        (BERLIN, "0,30 2 * * *", "2026-03-28 12:00", ["03-29 01:00", "03-30 00:00", "03-30 00:30"]),
        (BERLIN, "0 * * * *", "2026-03-28 23:30", ["03-29 00:00", "03-29 01:00", "03-29 02:00"]),
        (NEW_YORK, "30 2 * * *", "2026-03-07 12:00", ["03-08 07:00", "03-09 06:30"]),
        (NEW_YORK, "*/30 * * * *", "2026-03-08 06:29", ["03-08 06:30", "03-08 07:00", "03-08 07:30"]),
        (LORD_HOWE, "15 2 * * *", "2026-10-03 00:00", ["10-03 15:30", "10-04 15:15"]),
        (LORD_HOWE, "0 * * * *", "2026-10-03 14:00", ["10-03 14:30", "10-03 16:00", "10-03 17:00"]),
        (AZORES, "30 0 * * *", "2026-03-28 12:00", ["03-29 01:00", "03-30 00:30"]),
        # Back: the hour that comes twice. A fixed hour fires in the first, `*` in both.
        (BERLIN, "30 2 * * *", "2026-10-24 12:00", ["10-25 00:30", "10-26 01:30"]),
        (BERLIN, "30 2 * * *", "2026-10-25 01:10", ["10-26 01:30", "10-27 01:30"]),
        (BERLIN, "30 * * * *", "2026-10-25 00:00", ["10-25 00:30", "10-25 01:30", "10-25 02:30"]),
        (NEW_YORK, "30 1 * * *", "2026-10-31 12:00", ["11-01 05:30", "11-02 06:30"]),
        (NEW_YORK, "*/20 * * * *", "2026-11-01 05:30", ["11-01 05:40", "11-01 06:00", "11-01 06:20"]),
        (LORD_HOWE, "45 1 * * *", "2026-04-04 00:00", ["04-04 14:45", "04-05 15:15"]),
        (LORD_HOWE, "45 * * * *", "2026-04-04 14:00", ["04-04 14:45", "04-04 15:15", "04-04 16:15"]),
        (LORD_HOWE, "0 */2 * * *", "2026-04-04 13:00", ["04-04 15:30", "04-04 17:30"]),
        (LORD_HOWE, "*/30 1 * * *", "2026-04-04 13:00", ["04-04 14:00", "04-04 14:30", "04-04 15:00", "04-05 14:30"]),
        (AZORES, "30 0 * * *", "2026-10-24 12:00", ["10-25 00:30", "10-26 01:30"]),
        (AZORES, "0 3 * * *", "2026-10-24 12:00", ["10-25 04:00", "10-26 04:00"]),
    ],
)
def test_of_a_cron_line(zone: str, line: str, after: str, expected: list[str]) -> None:
    assert moments(line, zone, after, len(expected)) == expected


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, AZORES])
@pytest.mark.parametrize("line", ["30 2 * * *", "0 * * * *", "*/15 1 * * *", "15 0,1,2,3 * * *"])
@pytest.mark.parametrize("change", ["2026-03-08", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-11-01"])
def test_moments_ascend_when_the_clocks_change_and_begin_anywhere(zone: str, line: str, change: str) -> None:
    start = datetime.fromisoformat(change).replace(tzinfo=UTC)
    timing = Timing(line, None, zone, start)
    found = [at for at, _ in zip(timing.after(start), range(12), strict=False)]
    assert found == sorted(set(found))
    for at, following in zip(found[::3], found[1::3], strict=False):
        assert timing.next_after(at) == timing.next_after(following - timedelta(seconds=1)) == following


def test_an_interval_knows_no_daylight_saving() -> None:
    start = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    found = Timing("", timedelta(hours=6), BERLIN, start).after(start)
    assert [next(found).hour for _ in range(4)] == [4, 10, 16, 22]


def test_zones_come_from_the_pinned_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobsite.lib import zones

    monkeypatch.setenv("PYTHONTZPATH", "/nowhere")
    zones.zone.cache_clear()
    assert str(zones.zone("Australia/Lord_Howe")) == LORD_HOWE
    assert zone_fault("Mars/Olympus") and zone_fault("../../etc/passwd") and not zone_fault("UTC")


BAD = ["", "* * * *", "* * * * * *", "61 * * * *", "a * * * *", "*/0 * * * *", "0 0 30 2 *", "@daily", "0 0 0 * *"]
GOOD = ["*/5 * * * *", "0 3 * * MON-FRI", "0 0 L * *", "0 0 * * MON#1", "5,35 */2 1-7 JAN-JUN *"]


@pytest.mark.parametrize("line", BAD)
def test_a_line_that_says_nothing_is_refused_with_what_to_write(line: str) -> None:
    assert "minute, hour, day of the month, month, day of the week" in line_fault(line)


@pytest.mark.parametrize("line", GOOD)
def test_a_line_by_the_rules_is_taken(line: str) -> None:
    assert line_fault(line) == ""


def test_a_line_is_told_in_words() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert Timing("0 3 * * MON-FRI", None, BERLIN, start).words() == "At 03:00 on Monday through Friday, Europe/Berlin"
    assert (
        Timing("", timedelta(seconds=90), "UTC", start).words()
        == "Every 1 m 30 s, counted from 2026-01-01 00:00:00 UTC"
    )
