"""Share the command line (`python FILE ACTION JSON`), batches and the clock among the peers in Python."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

#: Seconds, by a clock that never jumps.
now = time.perf_counter


def batches(total: int, size: int) -> Iterator[int]:
    """Split `total` into batches of at most `size`."""
    for done in range(0, total, size):
        yield min(size, total - done)


def main(**actions: Callable[..., dict[str, Any]]) -> None:
    """Run the action of the command line, and print its figures as one line of JSON."""
    action, options = sys.argv[1:]
    print(json.dumps(actions[action](**json.loads(options))))
