"""Writes the newest figures into docs/performance.md, between its markers, and draws its plots."""

import json
import re
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import bars
from bench.figures import size
from bench.places import HERE, RESULTS, ROOT, VENV
from bench.tables import WIDTH, Table

PAGE = ROOT / "docs/performance.md"
IMAGES = ROOT / "docs/images"
#: The scenarios that plot.py draws, and what can be read where pictures cannot be seen.
PLOTS = {
    "lifecycle": "Jobs per second of each contender, one at a time and in batches",
    "snapshot": "Jobs in each second, with a snapshot held open and without",
    "size": "Jobs per second by the state of the table",
    "growth": "Jobs per second by the number of bots and by the size of batches",
}
MARKER = re.compile(r"(<!-- bench: ([a-z]+) -->\n)(.*?)(<!-- end -->)", flags=re.S)


class NothingToWrite(RuntimeError):
    """There are no figures that may stand in the docs; the message says what to do."""


def newest(paths: list[Path]) -> dict[str, dict[str, Any]]:
    """For each scenario, the newest run that measured it in full: `{scenario: run}`."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(paths):
        run = json.loads(path.read_text(encoding="utf-8"))
        found |= {name: run for name, result in run["scenarios"].items() if result["full"]}
    if not found:
        raise NothingToWrite("There are no full results in .bench/results. `make bench` makes some.")
    return found


def blocks(runs: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What stands between each pair of markers: a scenario's tables, or the bars of all of them."""
    made = {}
    for name, run in runs.items():
        tables: list[Table] = import_module(f"bench.scenarios.{name}").tables(run["scenarios"][name])
        plot = [f"![{PLOTS[name]}](images/performance-{name}.svg)\n"] if name in PLOTS else []
        made[name] = "\n".join([_measured(run), *plot, *(table.markdown() for table in tables)])
    summary = bars.table({name: run["scenarios"][name] for name, run in runs.items()})
    made["bars"] = summary.markdown() if summary else ""
    return made


def _measured(run: dict[str, Any]) -> str:
    machine, versions = run["machine"], run["versions"]
    said = (
        f"Measured {run['date']} on {machine['cores']} × {machine['cpu']}, {size(machine['memory'])} of memory, with "
        f"PostgreSQL {run['postgresql']['server_version']}, Python {versions['python']}, Node {versions['node']}, "
        f"commit {versions['jobsite']}, served by `{run['served_as']}`."
    )
    return textwrap.fill(said, WIDTH) + "\n"


def fill(text: str, made: dict[str, str]) -> str:
    """The page with each block in its place. What was not measured stays as it was."""
    return MARKER.sub(
        lambda found: found[1] + "\n" + made[found[2]] + "\n" + found[4] if found[2] in made else found[0], text
    )


def write(paths: list[Path]) -> None:
    """Fill the page and draw the plots. NothingToWrite when there are no full results."""
    runs = newest(paths or list(RESULTS.glob("*.json")))
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), blocks(runs)), encoding="utf-8")
    drawn = {name: run["scenarios"][name] for name, run in runs.items()}
    # Matplotlib is in the peers' environment, not in ours.
    command = [str(VENV / "bin/python"), str(HERE / "plot.py"), str(IMAGES)]
    subprocess.run(command, input=json.dumps(drawn), text=True, check=True)
    print(f"Wrote {PAGE.relative_to(ROOT)} from {', '.join(sorted(runs))}.", file=sys.stderr)
