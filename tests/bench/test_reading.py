"""What the bench reads: the bots' report, the Makefile's way to serve, and the pins of its peers."""

import json
import re

from bench import load, peers_run
from bench.places import HERE, ROOT

REPORT = """\
Running 60m test @ http://127.0.0.1:8000
finished
finished
bot 100.500000 104.000000 30 33 0
size 1 30
size 0 3
second 1 20
second 2 10
bot 100.000000 103.000000 10 12 1
size 1 10
second 1 4
second 4 6
unavailable 3
complaint 500 {"code": "broken"}
call 100.500000 0.002000
latency 50 0.001500
latency 99.9 0.020000
network 0 2
"""


def test_the_reports_of_all_bots_are_added_up():
    found = load.parse(REPORT)
    assert (found.first, found.last, found.time) == (100, 104, 4)
    assert (found.jobs, found.calls, found.wrong, found.network) == (40, 45, 1, 2)
    assert (found.rate, found.unavailable) == (10, 3)
    assert found.sizes == {1: 40, 0: 3}
    assert found.seconds == [24, 10, 0, 6]
    assert found.latencies == {50: 0.0015, 99.9: 0.02}
    assert found.trace == [(100.5, 0.002)]
    assert found.complaints == ['500 {"code": "broken"}']


def test_a_bot_that_never_called_does_not_set_the_beginning():
    assert load.parse("bot 0.000000 0.000000 0 0 0\nbot 7.000000 9.000000 4 5 0\n").first == 7


def test_peers_are_pinned_and_are_no_dependency_of_ours():
    pins = dict(
        re.fullmatch(r"([A-Za-z0-9-]+)(?:\[.*\])?==(\S+)", line).groups()
        for line in (HERE / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    packages = json.loads((HERE / "package.json").read_text())["dependencies"]
    assert all(version[0].isdigit() for version in packages.values())
    ours = (ROOT / "requirements-dev.txt").read_text()
    for peer in peers_run.PEER_LIST:
        assert peer.package in pins or peer.package in packages
        assert peer.package not in ours
        assert (HERE / "peers" / peer.program).exists()
