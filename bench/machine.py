"""Describe the machine and the versions of a measurement."""

import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from bench import peers_environment
from bench.jobsite_server import served_as
from bench.peers_run import PEER_LIST
from bench.places import ROOT


def about() -> dict[str, Any]:
    """Return machine, date and versions, as the results have them."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "memory": psutil.virtual_memory().total,
            "system": f"{platform.system()} {platform.release()}",
        },
        "served_as": " ".join(served_as(8000)[1:]),
        "versions": {
            "jobsite": _first_line(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]),
            "python": platform.python_version(),
            **{name: version(name) for name in ("Django", "granian", "psycopg")},
            "node": _first_line(["node", "--version"]),
            "wrk": _first_line(["wrk", "--version"]).partition("[")[0].strip(),
            **{peer.name: peers_environment.version(peer.package) for peer in PEER_LIST},
        },
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or sys.platform


def _first_line(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().partition("\n")[0]
