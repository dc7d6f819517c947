"""`manage.py schedules apply --crontab` makes a schedule of each line, all or none, and names lines with a fault."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from jobs.models import Job, Schedule
from jobs.schedules.crontab import SPECIAL, read_crontab
from jobs.schedules.timing import line_fault
from jobsite.lib.clock import database_now
from tests.jobs.schedules.rules import fire

pytestmark = pytest.mark.django_db

CRONTAB = r"""# m h dom mon dow command
SHELL=/bin/bash
PATH="/usr/local/bin:/usr/bin"
MAILTO=ops@example.org

17 *	* * *	run-parts --report /etc/cron.hourly
@daily  /usr/local/bin/backup.sh --full >> /var/log/backup.log 2>&1
# jobsite: weekly-report
CRON_TZ=Europe/Berlin
30 6 * * MON LANG=C report --to boss@example.org
*/5 9-17 * * 1-5 /usr/local/bin/backup.sh --quick
0 3 1,15 * * mail -s "100\% done" olga%Good morning,%all is well.
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "crontab"


def apply(file: Path, text: str, *flags: str) -> list[str]:
    file.write_text(text)
    out = StringIO()
    call_command("schedules", "apply", str(file), "--crontab", *flags, stdout=out)
    return out.getvalue().splitlines()


def test_each_line_becomes_a_schedule_of_a_kind_with_the_name_of_its_program(file: Path) -> None:
    names = ["run-parts", "backup", "weekly-report", "backup-2", "mail"]
    assert apply(file, CRONTAB) == [*(f"{name}: created" for name in names), f"5 schedules in {file}"]
    made = {schedule.name: schedule for schedule in Schedule.objects.all()}
    assert [(made[name].kind, made[name].cron, made[name].time_zone) for name in names] == [
        ("run-parts", "17 * * * *", "UTC"),
        ("backup", "0 0 * * *", "UTC"),
        ("report", "30 6 * * MON", "Europe/Berlin"),
        ("backup", "*/5 9-17 * * 1-5", "Europe/Berlin"),
        ("mail", "0 3 1,15 * *", "Europe/Berlin"),
    ]
    environment = {"SHELL": "/bin/bash", "PATH": "/usr/local/bin:/usr/bin"}
    assert made["backup"].payload == {
        "command": "/usr/local/bin/backup.sh --full >> /var/log/backup.log 2>&1", "environment": environment,
    }  # fmt: skip
    assert made["mail"].payload == {
        "command": 'mail -s "100% done" olga', "input": "Good morning,\nall is well.", "environment": environment,
    }  # fmt: skip


def test_the_same_crontab_again_changes_nothing_and_a_line_that_went_is_pruned(file: Path) -> None:
    apply(file, CRONTAB)
    assert {line.partition(": ")[2] for line in apply(file, CRONTAB)[:-1]} == {"as it was"}
    shorter = CRONTAB.replace("17 *\t", "# 17 *\t")
    assert apply(file, shorter, "--prune")[-2:] == ["run-parts: deleted", f"4 schedules in {file}"]


def test_a_dry_run_says_the_same_and_changes_nothing(file: Path) -> None:
    assert apply(file, CRONTAB, "--dry-run")[-1] == f"Dry run: 5 schedules in {file}"
    assert not Schedule.objects.exists()


def test_a_crontab_of_the_system_has_users(file: Path) -> None:
    apply(file, "25 6 * * * root test -x /usr/sbin/anacron\n@hourly backup sync\n", "--user-field", "--kind", "cron")
    rows = Schedule.objects.order_by("name").values_list("name", "kind", "cron", "payload__user", "payload__command")
    assert list(rows) == [
        ("sync", "cron", "0 * * * *", "backup", "sync"),
        ("test", "cron", "25 6 * * *", "root", "test -x /usr/sbin/anacron"),
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("61 * * * * backup", "line 2: cron: Bad minute"),
        ("@reboot backup", "line 2: @reboot is no moment"),
        ("@sometimes backup", "line 2: @sometimes is not known"),
        ("0 3 * * *", "line 2: there is no command"),
        ("0 3 * * * ./?", "line 2: name:"),
        ("CRON_TZ=Mars\n0 3 * * * backup", "line 3: time_zone:"),
        ("0 3 * * * good\n# jobsite: good-2\n0 4 * * * backup", "good-2 is there twice"),
    ],
)
def test_a_line_with_a_fault_is_named_and_nothing_is_changed(file: Path, line: str, fault: str) -> None:
    with pytest.raises(CommandError, match="Nothing was changed") as error:
        apply(file, f"0 1 * * * good\n{line}\n")
    assert fault in str(error.value)
    assert not Schedule.objects.exists()


def test_all_lines_with_a_fault_are_named_at_once(file: Path) -> None:
    with pytest.raises(CommandError) as error:
        apply(file, "@reboot a\n0 1 * * * good\n0 99 * * * b\n")
    assert [line.partition(":")[0] for line in str(error.value).splitlines()[:2]] == ["line 1", "line 3"]


def test_a_crontab_that_is_no_text_or_not_there_is_named(file: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("schedules", "apply", str(file), "--crontab")
    file.write_bytes(b"0 3 * * * caf\xe9\n")
    with pytest.raises(CommandError, match="not UTF-8"):
        call_command("schedules", "apply", str(file), "--crontab")


def test_its_schedules_make_jobs_with_the_command(file: Path) -> None:
    apply(file, "* * * * * /usr/local/bin/backup\n")
    this_minute = database_now().replace(second=0, microsecond=0)
    Schedule.objects.update(next_at=this_minute, created_at=this_minute)
    fire()
    job = Job.objects.get()
    assert (job.kind_id, job.payload) == ("backup", {"command": "/usr/local/bin/backup"})


def test_each_word_for_five_fields_is_a_line() -> None:
    for word, fields in SPECIAL.items():
        (line,) = read_crontab(f"{word} backup")
        assert line.schedule is not None
        assert (line.schedule["cron"], line_fault(fields)) == (fields, "")
