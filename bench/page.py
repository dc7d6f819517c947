"""Write the newest figures into the pages of `PAGES`, between their markers, and draw the plots."""

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

#: For operators, and for developers.
PAGES = (ROOT / "docs/performance.md", ROOT / "docs/development/benchmarks.md")
IMAGES = ROOT / "docs/images"
#: The scenarios that plot.py draws, with their alternative texts.
PLOTS = {
    "lifecycle": "Jobs per second of each contender, one at a time and in batches",
    "snapshot": "Jobs in each second, with a snapshot held open and without",
    "size": "Jobs per second by the state of the table",
    "growth": "Jobs per second by the number of bots and by the size of batches",
}
MARKER = re.compile(r"(<!-- bench: ([a-z]+) -->\n)(.*?)(<!-- end -->)", flags=re.S)


class NothingToWrite(RuntimeError):
    """There are no full results; the message says what to do."""


def newest(paths: list[Path]) -> dict[str, dict[str, Any]]:
    """Return the newest run that measured each scenario in full: `{scenario: run}`."""
    runs: dict[str, dict[str, Any]] = {}
    for path in sorted(paths):
        run = json.loads(path.read_text(encoding="utf-8"))
        runs |= {name: run for name, result in run["scenarios"].items() if result["full"]}
    if not runs:
        raise NothingToWrite("There are no full results in .bench/results. `make bench` makes some.")
    return runs


def blocks(runs: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Make the text of each pair of markers: a scenario's tables, or the targets of all."""
    texts = {}
    for name, run in runs.items():
        tables: list[Table] = import_module(f"bench.scenarios.{name}").tables(run["scenarios"][name])
        plot = [f"![{PLOTS[name]}](images/performance-{name}.svg)\n"] if name in PLOTS else []
        texts[name] = "\n".join([_measured(run), *plot, *(table.markdown() for table in tables)])
    summary = bars.table({name: run["scenarios"][name] for name, run in runs.items()})
    texts["bars"] = summary.markdown() if summary else ""
    return texts


def _measured(run: dict[str, Any]) -> str:
    machine, versions = run["machine"], run["versions"]
    text = (
        f"Measured {run['date']} on {machine['cores']} × {machine['cpu']}, {size(machine['memory'])} of memory, with "
        f"PostgreSQL {run['postgresql']['server_version']}, Python {versions['python']}, Node {versions['node']}, "
        f"commit {versions['jobsite']}, served by `{run['served_as']}`."
    )
    return textwrap.fill(text, WIDTH) + "\n"


def fill(text: str, blocks: dict[str, str]) -> str:
    """Put each block into its place on the page. The others stay as they are."""
    return MARKER.sub(
        lambda match: match[1] + "\n" + blocks[match[2]] + "\n" + match[4] if match[2] in blocks else match[0], text
    )


def write(paths: list[Path]) -> None:
    """Fill the pages and draw the plots. NothingToWrite when there are no full results."""
    runs = newest(paths or list(RESULTS.glob("*.json")))
    texts = blocks(runs)
    for page in PAGES:
        page.write_text(fill(page.read_text(encoding="utf-8"), texts), encoding="utf-8")
    drawn = {name: run["scenarios"][name] for name, run in runs.items()}
    # Matplotlib is in the peers' environment, not in ours.
    command = [str(VENV / "bin/python"), str(HERE / "plot.py"), str(IMAGES)]
    subprocess.run(command, input=json.dumps(drawn), text=True, check=True)
    pages = ", ".join(str(page.relative_to(ROOT)) for page in PAGES)
    print(f"Wrote {pages} from {', '.join(sorted(runs))}.", file=sys.stderr)
