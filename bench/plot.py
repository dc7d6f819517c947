"""Draw the plots of docs/performance.md as SVG. Runs in the peers' environment, which has matplotlib.

python plot.py DIRECTORY < {scenario: result, …}
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

# The same figures give the same file, byte for byte.
mpl.rcParams |= {"svg.hashsalt": "jobsite", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
OURS, THEIRS, CEILING = "#1f6f8b", "#b8b8b8", "#e0a458"


def save(figure: Any, directory: Path, name: str) -> None:
    figure.tight_layout()
    figure.savefig(directory / f"performance-{name}.svg", metadata={"Date": None})
    plt.close(figure)


def lifecycle(result: Any, directory: Path) -> None:
    """Draw bars: every contender, one at a time and in batches."""
    figure, sides = plt.subplots(1, 2, figsize=(11, 4.2))
    for side, (kind, title) in zip(sides, (("single", "one at a time"), ("batch", "in batches")), strict=True):
        rows = sorted((row for row in result["rows"] if row["kind"] == kind), key=lambda row: row["rate"])
        colours = [{"jobsite": OURS, "psycopg": CEILING}.get(row["name"], THEIRS) for row in rows]
        names = [f"{row['name']}\n{row['setting']}" for row in rows]
        bars = side.barh(names, [row["rate"] for row in rows], color=colours)
        side.bar_label(bars, [f" {row['rate']:,.0f}" for row in rows], fontsize=8)
        side.set_title(f"jobs per second, {title}")
        side.tick_params(axis="y", labelsize=7)
        side.margins(x=0.15)
    save(figure, directory, "lifecycle")


def snapshot(result: Any, directory: Path) -> None:
    """Draw lines: jobs in each second, with the snapshot and without."""
    figure, sides = plt.subplots(1, 2, figsize=(11, 3.6))
    for side, (kind, title) in zip(sides, (("batch", "batches of 100"), ("single", "one at a time")), strict=True):
        for row in result["rows"]:
            if row["name"] == "jobsite" and row["kind"] == kind:
                label = "a snapshot held open" if row["held"] else "without"
                # The last second is not complete.
                side.plot(row["by_second"][:-1], label=label, color=OURS if row["held"] else THEIRS)
        side.set(title=f"jobs in each second, {title}", xlabel="seconds")
        side.set_ylim(bottom=0)
        side.legend(frameon=False)
    save(figure, directory, "snapshot")


def size(result: Any, directory: Path) -> None:
    """Draw bars: each state of the table."""
    figure, sides = plt.subplots(1, 2, figsize=(11, 3.2), sharey=True)
    for side, (kind, title) in zip(sides, (("single", "one at a time"), ("batch", "batches of 100")), strict=True):
        rows = [row for row in reversed(result["rows"]) if row[kind]]
        bars = side.barh([row["label"] for row in rows], [row[kind] for row in rows], color=OURS)
        side.bar_label(bars, [f" {row[kind]:,.0f}" for row in rows], fontsize=8)
        side.set_title(f"jobs per second, {title}")
        side.margins(x=0.15)
    save(figure, directory, "size")


def growth(result: Any, directory: Path) -> None:
    """Draw lines: by the number of bots and by the size of batches."""
    figure, sides = plt.subplots(1, 2, figsize=(11, 3.6))
    for side, key, column, title in (
        (sides[0], "bots", "bots", "one at a time, by the number of bots"),
        (sides[1], "batches", "limit", "by the size of batches, 8 bots"),
    ):
        rows = result[key]
        side.plot([row[column] for row in rows], [row["rate"] for row in rows], marker="o", color=OURS)
        side.set(title=f"jobs per second, {title}", xlabel=column)
        if rows:
            side.set_xscale("log")
            side.set_xticks([row[column] for row in rows], [str(row[column]) for row in rows], fontsize=8)
            side.minorticks_off()
        side.set_ylim(bottom=0)
    save(figure, directory, "growth")


def main() -> None:
    directory, results = Path(sys.argv[1]), json.load(sys.stdin)
    for draw in (lifecycle, snapshot, size, growth):
        if draw.__name__ in results:
            draw(results[draw.__name__], directory)


if __name__ == "__main__":
    main()
