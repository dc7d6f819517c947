"""Write sample jobs, one JSON object a line, in the form of the body of `POST /jobs`.

    python client/examples/generate_jobs.py --count 3000 --seed 7 > client/examples/jobs.ndjson

The same arguments always give the same lines. Every job has a key, so loading the file twice adds nothing.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The project's own papers; a checksum and a word count of each.
PAPERS = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "docs/lifecycle.md",
    "docs/bot-api.md",
    "docs/operations.md",
    "client/README.md",
    "manage.py",
    "requirements.txt",
)
ARITHMETIC = ("sum", "subtract", "multiply", "divide")
# Whose word counts they are: three groups, of each of which the demo does two at once.
CUSTOMERS = ("acme", "beta", "gamma")


def jobs(count: int, seed: int, papers: tuple[str, ...] = PAPERS) -> Iterator[dict[str, Any]]:
    """`count` jobs. About one in ten works on a paper, one in forty is a division by zero."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        if chance.random() < 0.1:
            kind = chance.choice(("checksum", "wordcount"))
            payload: dict[str, Any] = {"path": chance.choice(papers)}
        else:
            kind = chance.choice(ARITHMETIC)
            payload = {"numbers": _numbers(chance, kind)}
        yield ({"group": CUSTOMERS[number % 3]} if kind == "wordcount" else {}) | {
            "kind": kind,
            "payload": payload,
            "key": f"demo-{kind}-{number:04}",
            "priority": chance.choices((0, 5, 10, -5), weights=(85, 7, 3, 5))[0],
        }


def _numbers(chance: random.Random, kind: str) -> list[int]:
    numbers = [_number(chance) for _ in range(2 if kind == "divide" else chance.randint(2, 6))]
    if kind == "divide":
        if chance.random() < 0.1:
            numbers[-1] = 0
        elif chance.random() < 0.5:
            numbers[0] = numbers[-1] * _number(chance)
    return numbers


def _number(chance: random.Random) -> int:
    """Mostly an everyday number, now and then one too long for 64 bits."""
    size = chance.random()
    if size < 0.75:
        return chance.randint(-100, 1000)
    if size < 0.93:
        return chance.randint(-(10**12), 10**12)
    return chance.choice((-1, 1)) * chance.randrange(2**64, 10 ** chance.randint(20, 60))


def main() -> None:
    """Print the jobs."""
    parser = argparse.ArgumentParser(description="Write sample jobs as NDJSON to standard output.")
    parser.add_argument("--count", type=int, default=3000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, other jobs (default: %(default)s)")
    parser.add_argument("--root", type=Path, help="work only on papers that exist below this directory")
    options = parser.parse_args()
    papers = tuple(paper for paper in PAPERS if options.root is None or (options.root / paper).is_file())
    if not papers:
        parser.error(f"none of the project's papers is below {options.root}")
    for job in jobs(options.count, options.seed, papers):
        sys.stdout.write(json.dumps(job, separators=(", ", ": ")) + "\n")


if __name__ == "__main__":
    main()
