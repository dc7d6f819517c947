"""What handlers do, by the lines that they append to a file."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .queue import Lease


@dataclass(frozen=True)
class Line:
    """One line: `begin` or `work`, the lease, and when it was seen."""

    what: str
    lease: Lease
    at: float


class Work:
    """Reads the file every 20 ms, until it is closed."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self.lines: list[Line] = []
        self.wrong: list[str] = []
        self._clock = clock
        self._closed = threading.Event()
        path.touch()
        self._file = path.open(encoding="utf-8", errors="replace")
        self._rest = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(0.02):
            self._read()

    def _read(self) -> None:
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            try:
                what, job, attempt = line.split()
                if what not in ("begin", "work"):
                    raise ValueError(what)
                self.lines.append(Line(what, (int(job), int(attempt)), self._clock()))
            except ValueError:
                self.wrong.append(line)

    def close(self) -> None:
        """Read what is left, and end."""
        self._closed.set()
        self._thread.join()
        self._read()
        self._file.close()

    def begun(self, lease: Lease) -> int:
        """How often work on this lease has begun."""
        return sum(1 for line in self.lines if line.what == "begin" and line.lease == lease)

    def last(self, lease: Lease) -> float | None:
        """When work on it was last seen."""
        return max((line.at for line in self.lines if line.lease == lease), default=None)

    def leases(self) -> set[Lease]:
        """The leases on which there was work."""
        return {line.lease for line in self.lines}
