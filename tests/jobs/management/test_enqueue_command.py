"""`manage.py enqueue` loads a file of jobs, all or none, and says which line is bad and why."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs.enqueue import insert
from jobs.models import Job, JobKind
from tests.cast import database_url
from tests.proxy import proxied

ROOT = Path(__file__).resolve().parents[3]
GOOD = '{"kind": "sum", "payload": {"numbers": [1, 2]}}'

pytestmark = pytest.mark.django_db


def load(path: Path | str, **options: Any) -> tuple[str, str]:
    """What the command says on its two outputs; `(error)` ends the second when it refused."""
    out, err = StringIO(), StringIO()
    try:
        call_command("enqueue", str(path), stdout=out, stderr=err, **options)
    except CommandError as error:
        return out.getvalue(), err.getvalue() + f"(error) {error}"
    return out.getvalue(), err.getvalue()


def file(tmp_path: Path, *lines: str, name: str = "jobs.ndjson") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_line_becomes_a_job_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = file(tmp_path, '{"kind": "sum", "key": "a"}', "", '{"kind": "divide", "key": "b", "priority": 7}')
    said, _ = load(path)
    assert said == "Enqueued 2 jobs.\n"
    assert list(Job.objects.order_by("id").values_list("kind", "key", "priority")) == [
        ("sum", "a", 0),
        ("divide", "b", 7),
    ]


def test_the_sample_file_loads_and_loads_only_once() -> None:
    sample = ROOT / "client/examples/jobs.ndjson"
    lines = len(sample.read_text().splitlines())
    figure = f"{lines:,}".replace(",", " ")
    assert load(sample)[0] == f"Enqueued {figure} jobs.\n"
    assert load(sample)[0] == f"Enqueued 0 jobs; {figure} were there already.\n"
    assert Job.objects.count() == lines


def test_a_bad_line_is_told_with_its_number_and_nothing_is_loaded(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD, '{"kind": "sum", "priority": "high"}', GOOD, "{oops", '{"kind": "sum", "colour": 1}')
    said, wrong = load(path)
    assert said == ""
    assert wrong.splitlines() == [
        "line 2: priority: Input should be a valid integer",
        "line 4: This is not JSON: Expecting property name enclosed in double quotes at line 1, column 2.",
        "line 5: colour: Extra inputs are not permitted",
        "(error) 3 bad lines. Nothing was loaded; --skip-bad loads the others.",
    ]
    assert not Job.objects.exists()
    assert not JobKind.objects.exists()


def test_a_bad_line_after_whole_blocks_takes_them_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insert, "BLOCK_ROWS", 2)
    JobKind.objects.create(name="sum")
    load(file(tmp_path, GOOD, GOOD, GOOD, GOOD, "[]"))
    assert not Job.objects.exists()


def test_it_says_how_quick_it_was_beside_the_answer(tmp_path: Path) -> None:
    said, beside = load(file(tmp_path, GOOD, "", GOOD))
    assert said == "Enqueued 2 jobs.\n"
    assert re.fullmatch(r"2 lines in \d+\.\d s, [\d ]+ a second\n", beside)


def test_what_was_there_already_is_told(tmp_path: Path) -> None:
    path = file(tmp_path, '{"kind": "sum", "key": "a"}', "{", '{"kind": "sum", "key": "a"}', '{"kind": "sum"}')
    said, _ = load(path, skip_bad=True)
    assert said == "Enqueued 2 jobs; 1 was there already. 1 bad line left out.\n"


def test_skip_bad_loads_the_good_lines_and_tells_of_the_others(tmp_path: Path) -> None:
    said, wrong = load(file(tmp_path, GOOD, "nonsense", GOOD), skip_bad=True)
    assert said == "Enqueued 2 jobs. 1 bad line left out.\n"
    assert wrong.startswith("line 2: This is not JSON")
    assert Job.objects.count() == 2


def test_a_hundred_bad_lines_are_told_one_by_one_and_the_rest_in_sum(tmp_path: Path) -> None:
    _, wrong = load(file(tmp_path, *["x"] * 103))
    lines = wrong.splitlines()
    assert lines[99].startswith("line 100: ")
    assert lines[100:] == [
        "and 3 more bad lines",
        "(error) 103 bad lines. Nothing was loaded; --skip-bad loads the others.",
    ]


def test_a_dry_run_says_what_would_be_and_loads_nothing(tmp_path: Path) -> None:
    assert load(file(tmp_path, GOOD, GOOD), dry_run=True)[0] == "Would enqueue 2 jobs.\n"
    assert not Job.objects.exists()


def test_csv_is_known_by_its_name(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        "key,kind,payload,priority,run_at,max_attempts",
        'a,sum,"{""numbers"": [1,',
        '2]}",5,2027-01-02T03:04:05+01:00,9',
        "b,sum,,,,",
        name="jobs.CSV",
    )
    assert load(path)[0] == "Enqueued 2 jobs.\n"
    first, second = Job.objects.order_by("id")
    assert (first.payload, first.priority, first.max_attempts) == ({"numbers": [1, 2]}, 5, 9)
    assert first.run_at.isoformat() == "2027-01-02T02:04:05+00:00"
    assert (second.payload, second.priority, second.max_attempts) == ({}, 0, 3)


def test_a_csv_file_with_an_unknown_column_is_refused_as_a_whole(tmp_path: Path) -> None:
    _, wrong = load(file(tmp_path, "kind,colour", "sum,red"), format="csv")
    assert "unknown column 'colour'" in wrong
    assert not Job.objects.exists()


def test_a_payload_may_be_any_json_and_null_too(tmp_path: Path) -> None:
    payloads = [None, 0, "text", [1, [2]], {"a": None}, 10**30]
    load(file(tmp_path, *(json.dumps({"kind": "sum", "payload": p}) for p in payloads)))
    assert [job.payload for job in Job.objects.order_by("id")] == payloads


@pytest.mark.parametrize("name", ["nothing.ndjson", "."])
def test_a_file_that_cannot_be_read_is_told_without_a_traceback(tmp_path: Path, name: str) -> None:
    _, wrong = load(tmp_path / name)
    assert wrong.startswith("(error)")
    assert "Nothing was loaded" in wrong


@pytest.mark.django_db(transaction=True)  # the other process must see what is there
def test_a_process_of_its_own_reads_standard_input_and_exits_1_for_a_bad_line() -> None:
    command = [sys.executable, "manage.py", "enqueue", "-"]
    env = os.environ | {"DATABASE_URL": database_url(), "DEBUG": "1"}

    good = subprocess.run(command, input=GOOD, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout) == (0, "Enqueued 1 job.\n"), good.stderr
    bad = subprocess.run(command, input=GOOD + "\n\x00", env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stdout == ""
    assert "line 2: This is not JSON" in bad.stderr
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("done", [False, True])
def test_a_lost_connection_says_whether_the_jobs_were_loaded(tmp_path: Path, done: bool) -> None:
    JobKind.objects.create(name="sum")
    with proxied() as proxy:
        if done:
            proxy.cut(b"COMMIT", after=b"COPY")
        else:
            proxy.cut(b"COPY", done=False)
        env = os.environ | {"DATABASE_URL": proxy.url(), "DEBUG": "1"}
        command = [sys.executable, "manage.py", "enqueue", str(file(tmp_path, GOOD))]
        lost = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (lost.returncode, lost.stdout, Job.objects.count()) == (1, "", int(done)), lost.stderr
    assert ("Whether the jobs were loaded is not known" if done else "Nothing was loaded") in lost.stderr
    assert "Traceback" not in lost.stderr


MEASURED = """
import resource, sys
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "enqueue", sys.argv[1]])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("keys", [False, True], ids=["without keys", "with keys"])
def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path, keys: bool) -> None:
    JobKind.objects.create(name="sum")
    env = os.environ | {"DATABASE_URL": database_url(), "DEBUG": "0", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    peaks = []
    for lines in (1_000, 200_000):
        path = tmp_path / f"{lines}.ndjson"
        with path.open("w", encoding="utf-8") as out:
            for n in range(lines):
                key = f', "key": "{lines} {n}"' if keys else ""
                out.write(f'{{"kind": "sum", "payload": {{"number": {n}, "text": "{"x" * 80}"}}{key}}}\n')
        command = [sys.executable, "-c", MEASURED, str(path)]
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.splitlines()[-1]))
    assert Job.objects.count() == 201_000
    # Kilobytes. The long file has 25 MB, and in Python's objects several times as much.
    assert peaks[1] - peaks[0] < 20_000
