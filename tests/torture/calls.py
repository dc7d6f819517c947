"""Call the server and log each call before it is sent and when it is answered. May be killed at any time.

A line is written at once and whole, so a kill loses no line but the last. Moments are of the machine's monotonic clock,
which all processes share and no wrong clock changes. It imports little: bots are started all the time.
"""

import json
import os
import random
import signal
import threading
import time
from http.client import HTTPConnection, HTTPException
from types import FrameType
from typing import Any

#: Seconds after which no answer comes any more. The server answers within 15, and a call may wait for 2.
PATIENCE = 30.0


class Caller:
    """One connection to the server, with a token, and its log."""

    def __init__(self, port: int, token: str, log: str, who: str) -> None:
        self._http = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._headers = {"Authorization": f"Bearer {token}"}
        # Each process has a log of its own, which begins its calls at one.
        path = f"{log}.{os.getpid()}.{time.monotonic_ns()}.jsonl"
        self._log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._who, self._number = who, 0

    def call(self, path: str, body: Any = None, *, lines: bool = False, **headers: str) -> tuple[int, Any]:
        """POST `body`, or GET where there is none. Returns the status and the answer; 0: there was no answer.

        `lines`: the jobs of a bulk call go as NDJSON.
        """
        self._number += 1
        self._write(who=self._who, call=path, sent=body)
        content = None if body is None else json.dumps(body)
        if lines:
            content = "\n".join(map(json.dumps, body["jobs"]))
        kind = {"Content-Type": "application/x-ndjson" if lines else "application/json"}
        try:
            method = "GET" if body is None else "POST"
            self._http.request(method, f"/api/v1{path}", content, self._headers | kind | _named(headers))
            response = self._http.getresponse()
            status, text = response.status, response.read()
        except (OSError, HTTPException) as error:
            self._http.close()
            self._write(lost=repr(error))
            return 0, None
        try:
            answer = json.loads(text or b"null")
        except ValueError:
            answer = {"text": text[:200].decode("utf-8", "replace")}
        self._write(status=status, answer=answer)
        return status, answer

    def _write(self, **line: Any) -> None:
        os.write(self._log, (json.dumps({"n": self._number, "at": time.monotonic()} | line) + "\n").encode())


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Stopping:
    """True once SIGTERM has come: the program finishes and ends."""

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def __bool__(self) -> bool:
        return self._asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True


def not_known(status: int, answer: Any) -> bool:
    """Whether the call may have been carried out, for all that the caller knows."""
    return status == 0 or (status >= 500 and (answer or {}).get("code") != "unavailable")


def wait(seconds: float) -> None:
    """Do nothing for so long. `time.sleep` fails under a wrong clock of libfaketime."""
    threading.Event().wait(seconds)


def pause(rng: random.Random, attempt: int) -> None:
    """Wait before a call is repeated, longer each time."""
    wait(rng.uniform(0.5, 1) * min(0.05 * 2**attempt, 1.0))
