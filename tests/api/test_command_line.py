"""`jobsitectl` against a real server: what it prints, and its exit codes."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from bots import roster
from jobs.models import Job, JobEvent, JobKind
from jobsite_client.command.__main__ import main
from tests.cast import bot_named, enqueue_one, take_one
from tests.served import Served, served

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Served]:
    with served() as server:
        yield server


@pytest.fixture
def access(server: Served, olga: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Where the server is and olga's key, in the environment."""
    key: str = roster.create_key(olga)[1]
    monkeypatch.setenv("JOBSITE_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("JOBSITE_TOKEN", key)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return key


@pytest.fixture
def run(access: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; its exit code, its output, and its errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(str(ended.code))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


# --- Jobs -------------------------------------------------------------------------------------------------------------


def test_an_enqueued_job_is_its_id_and_the_same_key_says_that_it_was_there(run: Run) -> None:
    code, out, err = run("enqueue", "sum", '{"n": 1}', "--key", "k", "--delay", "5m")
    job = Job.objects.get()
    assert (code, out, err, job.payload) == (0, f"{job.id}\n", "", {"n": 1})
    assert (job.run_at - job.created_at).total_seconds() == pytest.approx(300, abs=5)
    code, out, err = run("enqueue", "sum", "--key", "k")
    assert (code, out, err) == (0, f"{job.id}\n", f"Job {job.id} has this key already; it is pending.\n")


def test_a_payload_and_jobs_come_from_standard_input_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("[1, 2]"))
    assert run("enqueue", "sum", "-")[0] == 0
    assert Job.objects.get().payload == [1, 2]


def test_a_file_of_jobs_is_enqueued_entirely_or_without_its_bad_lines(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "jobs.ndjson"
    file.write_text('{"kind": "sum"}\n\n{"kind": "sum", "priority": "high"}\n{"kind": "mail"}\n')
    code, out, err = run("enqueue", "--file", file)
    assert (code, out, Job.objects.count()) == (1, "", 0)
    assert "priority" in err
    assert run("enqueue", "--file", file, "--skip-bad")[:2] == (0, "2 created, 0 existing, 0 replaced, 1 bad\n")
    file.write_text('{"kind": "sum"}\nnothing\n')
    code, _, err = run("enqueue", "--file", file)
    assert (code, Job.objects.count()) == (2, 2)
    assert err.startswith("jobsitectl: Line 2 is not JSON")


def test_a_list_is_a_table_or_an_object_on_each_line(run: Run) -> None:
    for number in range(3):
        run("enqueue", "sum", number)
    code, out, err = run("ls", "--kind", "sum", "--limit", 2)
    header, *rows = out.splitlines()
    assert (code, header.split()) == (0, ["ID", "KIND", "STATUS", "PRIORITY", "BOT", "RUN_AT", "KEY"])
    assert [row.split()[1:3] for row in rows] == [["sum", "pending"]] * 2
    assert err == "There are more than 2: --limit 0 lists all.\n"
    code, out, err = run("ls", "--json", "--limit", 0)
    assert [json.loads(line)["payload"] for line in out.splitlines()] == [2, 1, 0]
    assert (code, err) == (0, "")


def test_text_of_strangers_cannot_command_the_terminal(run: Run) -> None:
    trick = "\x1b]0;owned\x07\u202ekey\n"
    JobKind.objects.create(name="sum")
    assert run("enqueue", "sum", json.dumps(trick), "--key", trick)[0] == 0
    job = Job.objects.get().id
    run("cancel", job, "--reason", trick)
    for command in (("ls",), ("show", job), ("explain", job), ("ls", "--json"), ("show", job, "--json")):
        code, out, _ = run(*command)
        assert code == 0
        assert all(line.isprintable() for line in out.split("\n")), out
    assert r"\x1b]0;owned\x07\u202ekey\n" in run("ls")[1]


def test_a_job_is_shown_with_its_history_and_explained(run: Run) -> None:
    job = enqueue_one().id
    run("cancel", job, "--reason", "not needed")
    code, out, _ = run("show", job)
    assert code == 0
    assert "cancelled" in out and "olga" in out and "not needed" in out
    shown = json.loads(run("show", job, "--json")[1])
    assert [event["verb"] for event in shown["events"]] == ["cancel"]
    code, out, _ = run("explain", job)
    assert code == 0 and "cancelled" in out
    assert run("show", 10**9) == (1, "", f"jobsitectl: There is no job {10**9}.\n")


def test_waiting_succeeds_if_all_jobs_succeeded(run: Run) -> None:
    ada = bot_named("ada")
    good, bad = take_one(ada), take_one(ada)
    good.complete()
    bad.fail(retry=False)
    pending = enqueue_one().id
    assert run("wait", good.id)[:2] == (0, f"{good.id} succeeded\n")
    assert run("wait", good.id, bad.id)[:2] == (1, f"{good.id} succeeded\n{bad.id} failed\n")
    assert run("wait", pending, "--timeout", "0s") == (4, "", f"Job {pending} has not ended after 0 s.\n")


def test_one_that_is_refused_keeps_no_other_from_it(run: Run) -> None:
    held, pending = take_one(bot_named("ada")).id, enqueue_one().id
    code, out, err = run("release", pending, held, "--reason", "it hangs")
    assert (code, Job.objects.get(pk=held).status) == (1, "pending")
    assert str(held) in out and err.startswith(f"{pending}: ")
    assert JobEvent.objects.get(job_id=held, verb="release").reason == "it hangs"
    assert run("cancel", held, pending)[0] == 0
    assert run("retry", held, "--json")[0] == 0


# --- Bots and schedules -----------------------------------------------------------------------------------------------


def test_bots_are_paused_by_name_or_id_for_a_time(run: Run) -> None:
    ada, bob = bot_named("ada"), bot_named("bob")
    assert run("pause", "ada", bob.pk, "--for", "2h", "--reason", "maintenance")[0] == 0
    ada.refresh_from_db(), bob.refresh_from_db()
    assert (ada.paused, bob.paused, ada.pause_reason) == (True, True, "maintenance")
    assert ada.paused_until is not None
    out = run("bots")[1]
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["ada", "bob"]
    assert run("resume", "ada")[0] == 0
    assert run("pause", "eve") == (2, "", "jobsitectl: There is no bot eve.\n")


def test_kinds_are_listed_with_their_jobs(run: Run) -> None:
    take_one(bot_named("ada"))
    enqueue_one()
    header, row = run("kinds")[1].splitlines()
    assert (header.split(), row.split()) == (["KIND", "JOBS", "DUE", "HELD"], ["sum", "2", "1", "1"])
    assert json.loads(run("kinds", "sum", "--json")[1])["due"] == 1


def test_schedules_are_listed(run: Run) -> None:
    assert run("schedules")[1].split() == ["NAME", "KIND", "WORDS", "NEXT_AT", "PAUSED"]


# --- Access and exit codes --------------------------------------------------------------------------------------------


def test_the_key_is_read_from_a_file_that_nobody_else_may_use(
    run: Run, access: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("JOBSITE_TOKEN")
    code, _, err = run("ls")
    assert (code, "Set JOBSITE_TOKEN" in err) == (2, True)
    file = tmp_path / "jobsite" / "token"
    file.parent.mkdir()
    file.write_text(access + "\n")
    for mode in (0o644, 0o640, 0o602):
        file.chmod(mode)
        assert run("ls")[::2] == (
            2,
            f"jobsitectl: Other users may use {file} (mode {mode:04o}). Run: chmod 600 {file}\n",
        )
    file.chmod(0o600)
    assert run("ls")[0] == 0
    monkeypatch.setenv("JOBSITE_TOKEN_FILE", str(tmp_path / "nowhere"))
    assert run("ls")[0] == 2


def test_a_server_that_is_away_or_refuses_has_codes_of_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobsite_client.command.__main__.RETRY_FOR", 0)
    monkeypatch.setenv("JOBSITE_TOKEN", "jsk_wrong")
    assert run("ls")[0] == 1
    monkeypatch.setenv("JOBSITE_URL", "http://127.0.0.1:1")
    code, _, err = run("ls")
    assert (code, "could not be reached" in err) == (3, True)
    monkeypatch.setenv("JOBSITE_URL", "nowhere")
    assert run("ls")[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [(), ("enqueue",), ("enqueue", "sum", "{"), ("wait", "1", "--timeout", "soon"), ("ls", "--limit", "-1")],
)
def test_wrong_arguments_are_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 2


def test_a_reader_that_has_seen_enough_is_no_error(access: str) -> None:
    """As for `jobsitectl ls | head -1`."""
    program = "import sys; from jobsite_client.command.__main__ import main; sys.exit(main(sys.argv[1:]))"
    reading, writing = os.pipe()
    os.close(reading)
    path = f"{ROOT / 'client'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", program, "ls"],
        stdout=writing, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_the_verbs(run: Run, shell: str) -> None:
    code, out, _ = run("completion", shell)
    assert code == 0
    assert all(verb in out for verb in ("enqueue", "explain", "release", "--status"))
