"""The files for three machines fit together and the page about them. `tests/torture/test_failover.py` runs them."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.docs.reading import ROOT, table, text_of, word

HERE = "deploy/ha"
PAGE = "docs/high-availability.md"
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
MACHINES = [f"10.0.0.1{n}" for n in (1, 2, 3)]


def patroni() -> dict[str, Any]:
    return dict(yaml.safe_load(text_of(f"{HERE}/patroni.yml")))


def listening() -> dict[str, int]:
    """The ports of HAProxy, by what is there."""
    found = re.findall(r"^listen (\w+)\n    bind 127\.0\.0\.1:(\d+)$", text_of(f"{HERE}/haproxy.cfg"), flags=re.M)
    return {name: int(port) for name, port in found}


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
def test_haproxy_takes_its_file() -> None:
    command = [str(HAPROXY), "-c", "-f", f"{ROOT}/{HERE}/haproxy.cfg"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_all_machines_are_in_each_list() -> None:
    etcd = text_of(f"{HERE}/etcd")
    peers = re.findall(r"ETCD_INITIAL_CLUSTER=(.*)", etcd)[0]
    assert [part.split("=")[1] for part in peers.split(",")] == [f"http://{one}:2380" for one in MACHINES]
    assert patroni()["etcd3"]["hosts"].split(",") == [f"{one}:2379" for one in MACHINES]
    servers = re.findall(r"server db-\d (\S+) check port (\d+)", text_of(f"{HERE}/haproxy.cfg"))
    api = patroni()["restapi"]["listen"].rpartition(":")[2]
    assert servers == [(f"{one}:5432", api) for one in MACHINES] * 2


def test_patroni_keeps_what_was_answered_and_has_time_for_a_try() -> None:
    dcs = patroni()["bootstrap"]["dcs"]
    assert dcs["synchronous_mode"] is True
    # Otherwise a primary that lost etcd for a moment would be replaced before it has tried again.
    assert dcs["ttl"] >= dcs["loop_wait"] + 2 * dcs["retry_timeout"]


def test_the_pooler_leads_to_the_primary_and_is_quick_to_find_a_new_one() -> None:
    pooler = text_of(f"{HERE}/pgbouncer.ini")
    assert f"* = host=127.0.0.1 port={listening()['primary']}\n" in pooler
    assert "pool_mode = transaction" in pooler and "server_login_retry = 1\n" in pooler


def test_the_page_has_the_ports_of_the_files() -> None:
    page = text_of(PAGE)
    settings = dict(re.findall(r"^(\w+)=(.*)$", page.split("```sh\nDATABASE_URL")[1].split("```")[0], flags=re.M))
    assert f":{listening()['standbys']}/" in settings["REPLICA_URL"]
    assert f"@127.0.0.1:{listening()['primary']}/jobsite\n" in page
    assert f"{patroni()['bootstrap']['dcs']['ttl']} seconds (`ttl`)" in page


def test_the_page_names_each_file() -> None:
    named = {word(row["file"]) for row in table(PAGE, "file", "goes to", "on")}
    assert named == {f"{HERE}/{path.name}" for path in (ROOT / HERE).iterdir()}
