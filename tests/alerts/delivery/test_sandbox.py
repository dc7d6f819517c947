"""What the process that sends may reach: checked at the call that connects, so that nothing changes in between."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alerts.delivery.process import WorkerProcess
from alerts.states import Way
from tests.far_side import Receiver, a_receiver, close

ROOT = Path(__file__).resolve().parents[3]


def in_a_process(program: str) -> Any:
    """What a program in a process of its own says at its end, as JSON."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_receiver_inside_the_network_gets_nothing(receiver: Receiver) -> None:
    with WorkerProcess(Way.WEBHOOK) as worker:
        answer = worker.post(url=receiver.url(), headers={}, body="{}")
    assert (answer.ok, answer.unsure) == (False, False)
    assert answer.detail == "127.0.0.1 is inside the network, and ALERTS_ALLOW_PRIVATE is not set."
    with WorkerProcess(Way.APPRISE) as worker:
        answer = worker.notify(address=receiver.url(scheme="json"), title="t", body="b", level="info", id="1")
    assert "127.0.0.1 is inside the network" in answer.detail
    assert receiver.got == []


def test_a_name_that_leads_inside_only_when_it_is_used_is_refused_then(receiver: Receiver) -> None:
    """The name's answer changes between the check and the connection, as whoever owns the name can arrange."""
    answers = in_a_process(f"""
import json, socket
from alerts.delivery import worker
worker._load({{"apprise": False, "allow_private": False}})
real, asked = socket.getaddrinfo, []
def changing(host, *args, **kwargs):
    asked.append(host)
    return real("8.8.8.8" if len(asked) == 1 else "127.0.0.1", *args, **kwargs)
socket.getaddrinfo = changing
url = "http://rebound.example.org:{receiver.port}/"
checked = worker._answer({{"do": "check", "way": "webhook", "address": url}})
posted = worker._answer({{"do": "post", "url": url, "headers": {{}}, "body": ""}})
print(json.dumps([checked, posted, len(asked)]))
""")
    checked, posted, asked = answers
    assert asked == 2
    assert checked["ok"]
    assert posted == {
        "ok": False,
        "detail": "127.0.0.1 is inside the network, and ALERTS_ALLOW_PRIVATE is not set.",
        "unsure": False,
    }
    assert receiver.got == []


def test_a_redirect_to_an_address_inside_is_refused_too() -> None:
    """Apprise may follow redirects. For this test only 127.0.0.2 is inside."""
    outside, inside = a_receiver(), a_receiver("127.0.0.2")
    outside.answer = (307, b"", {"Location": f"http://127.0.0.2:{inside.port}/"})
    try:
        (answer,) = in_a_process(f"""
import json
from alerts.delivery import sandbox, worker
sandbox.is_internal = lambda host: host == "127.0.0.2"
worker._load({{"apprise": True, "allow_private": False}})
address = "{outside.url(scheme="json")}?redirect=yes"
asked = {{"do": "notify", "address": address, "title": "t", "body": "b", "level": "info", "id": "1"}}
print(json.dumps([worker._answer(asked)]))
""")
    finally:
        close(outside)
        close(inside)
    assert (answer["ok"], answer["detail"][:9]) == (False, "127.0.0.2")
    assert (len(outside.got), len(inside.got)) == (1, 0)


def test_a_webhook_follows_no_redirect(receiver: Receiver, another_receiver: Receiver, inside_allowed: None) -> None:
    receiver.answer = (302, b"over there", {"Location": another_receiver.url()})
    with WorkerProcess(Way.WEBHOOK) as worker:
        answer = worker.post(url=receiver.url(), headers={}, body="{}")
    assert (answer.ok, answer.detail) == (False, "302 Found: over there")
    assert another_receiver.got == []


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("import subprocess; subprocess.run(['true'])", "A channel may not start programs."),
        ("import os; os.system('true')", "A channel may not start programs."),
        ("import os; os.fork()", "A channel may not start programs."),
        ("open('/etc/passwd')", "A channel may not read files of this machine."),
        ("open('manage.py')", "A channel may not read files of this machine."),
        ("open('.env')", "A channel may not read files of this machine."),
        ("open('/tmp/jobsite-channel', 'w')", "A channel may not write files."),
        ("import socket; socket.socket(socket.AF_UNIX).connect('/dev/log')", "may not use sockets of this machine."),
    ],
)
def test_programs_files_and_local_sockets_are_out_of_reach(does: str, why: str, allow_private: bool) -> None:
    said = in_a_process(f"""
import json
from alerts.delivery import sandbox
refused = []
sandbox.install(allow_private={allow_private}, refused=refused)
try:
    {does}
except sandbox.Refused as error:
    print(json.dumps([str(error), refused]))
""")
    assert why in said[0]
    assert said[1] == [said[0]]


def test_datagrams_are_checked_as_well() -> None:
    said = in_a_process("""
import json, socket
from alerts.delivery import sandbox
sandbox.install(allow_private=False, refused=[])
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 514))
except sandbox.Refused as error:
    print(json.dumps(str(error)))
""")
    assert said.startswith("127.0.0.1 is inside the network")


def test_secrets_and_settings_of_the_site_are_not_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:3128")
    with WorkerProcess(Way.WEBHOOK) as worker:
        worker.check("https://8.8.8.8/very-secret")
        assert worker.process is not None
        process = Path(f"/proc/{worker.process.pid}")
        assert b"PROXY" not in (process / "environ").read_bytes()
        assert b"SECRET_KEY" not in (process / "environ").read_bytes()
        assert b"very-secret" not in (process / "cmdline").read_bytes()
