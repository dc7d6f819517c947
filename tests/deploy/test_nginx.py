"""The nginx configuration that comes with the project, in a real nginx before the real server."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bots.models import Bot
from jobs.models import Job
from tests import ports, raw
from tests.api.calls import PREFIX, rows
from tests.cast import enqueue_one
from tests.served import Served, served

CONF = Path(__file__).resolve().parents[2] / "deploy/nginx/jobsite.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]


@dataclass(frozen=True)
class Proxied:
    """The server, and the port of the nginx in front of it."""

    server: Served
    port: int


@pytest.fixture(scope="module")
def site(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    tmp_path = tmp_path_factory.mktemp("nginx")
    with ExitStack() as stack:
        port = stack.enter_context(ports.reserved())
        server = stack.enter_context(served(BEHIND_PROXY="1", MAX_STREAM_BYTES="50000000"))
        conf = CONF.read_text(encoding="utf-8").replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
        conf = conf.replace("listen 80;", f"listen 127.0.0.1:{port};")
        folders = [
            f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ]
        user = "user root;" if os.geteuid() == 0 else ""
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; {user} pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
            f"events {{ worker_connections 2048; }}\nhttp {{ access_log off; {' '.join(folders)}\n{conf}\n}}\n"
        )
        command = [str(NGINX), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
        nginx = stack.enter_context(subprocess.Popen(command))
        stack.callback(nginx.terminate)
        until = time.monotonic() + raw.PATIENCE
        while time.monotonic() < until:
            with suppress(OSError), raw.connected(port):
                break
            assert nginx.poll() is None, (tmp_path / "error.log").read_text()
        yield Proxied(server, port)


def claim(token: str, body: bytes = b"{}", **headers: object) -> bytes:
    length = {} if "Transfer_Encoding" in headers else {"Content_Length": len(body)}
    return raw.request("POST", f"{PREFIX}/claim", body, **({"Authorization": f"Bearer {token}"} | length | headers))


def test_calls_pass_with_a_length_and_in_chunks(site: Proxied, ada: Bot, ada_token: str) -> None:
    first, second = enqueue_one(), enqueue_one()
    said = [
        raw.ask(site.port, claim(ada_token)),
        raw.ask(site.port, claim(ada_token, b"2\r\n{}\r\n0\r\n\r\n", Transfer_Encoding="chunked")),
    ]
    assert [one.json()["jobs"][0]["id"] for one in said] == [first.pk, second.pk]


def test_a_broken_body_does_not_come_through(site: Proxied, ada: Bot, ada_token: str) -> None:
    enqueue_one()
    before = rows()
    for sent in (
        claim(ada_token, b"{}", Content_Length=40),
        claim(ada_token, b"2\r\n{}\r\n", Transfer_Encoding="chunked"),
        claim(ada_token, b"zz\r\n{}\r\n", Transfer_Encoding="chunked"),
    ):
        said = raw.cut_off(site.port, sent)
        assert said is None or said.status == 400
    assert rows() == before


def test_slow_senders_do_not_come_to_the_server(site: Proxied, ada: Bot, ada_token: str) -> None:
    job = enqueue_one()
    with ExitStack() as stack:
        for _ in range(330):
            there = stack.enter_context(raw.connected(site.port))
            there.sendall(claim("nobody", b"{", Content_Length=40))
        assert len(site.server.worker.net_connections()) < 100
        assert raw.ask(site.port, raw.request("GET", "/livez")).status == 200
        said = raw.ask(site.port, claim(ada_token))
    assert [claimed["id"] for claimed in said.json()["jobs"]] == [job.pk]


def test_what_is_too_large_is_refused_in_the_servers_words(site: Proxied, olga_key: str) -> None:
    head = {"Authorization": f"Bearer {olga_key}", "Content_Type": "application/json"}
    said = raw.ask(site.port, raw.request("POST", f"{PREFIX}/jobs", b" " * 3_000_000, Content_Length=3_000_000, **head))
    assert (said.status, said.json()["code"]) == (413, "too_large")


def test_a_stream_of_jobs_passes_as_it_comes(site: Proxied, olga_key: str) -> None:
    line = b'{"kind":"sum","payload":"%b"}\n' % (b"x" * 970)
    body = line * 12_000
    head = {"Authorization": f"Bearer {olga_key}", "Content_Type": "application/x-ndjson"}
    said = raw.ask(site.port, raw.request("POST", f"{PREFIX}/jobs/bulk", body, Content_Length=len(body), **head))
    assert (said.status, said.json()["created"], Job.objects.count()) == (201, 12_000, 12_000)


def test_waiting_calls_are_not_cut_off() -> None:
    conf = CONF.read_text(encoding="utf-8")
    times = [int(seconds) for seconds in re.findall(r"proxy_read_timeout (\d+)s;", conf)]
    assert len(times) == 2
    # The longest `wait` of a claim.
    assert min(times) > 30


def test_a_client_does_not_choose_its_address(site: Proxied) -> None:
    conf = CONF.read_text(encoding="utf-8")
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in conf
    assert "$proxy_add_x_forwarded_for" not in conf
