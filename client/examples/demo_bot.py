"""A bot to watch: it calculates, counts words, and hangs or crashes when asked to.

    JOBSITE_TOKEN=… python client/examples/demo_bot.py --url http://127.0.0.1:8000 --root .

It takes the kinds sum, subtract, multiply, divide (payload {"numbers": […]}), checksum and wordcount (payload
{"path": "…"}, a file below --root).
"""

import argparse
import logging
import math
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import demo_arithmetic
import demo_files

from jobsite_client import Bot, Client, Job

log = logging.getLogger("demo")


class FallsSilent(Client):
    """A client that can stop calling, as a process that truly hangs would: no claims, no heartbeats, no reports."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.runner: Bot | None = None
        self._awake = threading.Event()
        self._awake.set()

    def hang(self, seconds: float) -> None:
        """Say nothing to the server for this long (or until the bot is stopped)."""
        until = time.monotonic() + seconds
        self._awake.clear()
        while time.monotonic() < until and not (self.runner and self.runner.stopping):
            time.sleep(0.1)
        self._awake.set()

    @property
    def awake(self) -> bool:
        """Whether calls go through at the moment."""
        return self._awake.is_set()

    def send(self, request: Any) -> Any:
        self._awake.wait()
        return super().send(request)


class Demo:
    """The demo's handlers, with what the command line asked for around them."""

    def __init__(self, options: argparse.Namespace, client: FallsSilent) -> None:
        self._options = options
        self._client = client
        self._count = 0
        self._lock = threading.Lock()

    def handlers(self) -> dict[str, Any]:
        """A handler for each kind."""
        kinds: dict[str, Any] = {}
        for kind in demo_arithmetic.KINDS:
            kinds[kind] = lambda job: self._do(job, lambda: demo_arithmetic.calculate(job.kind, job.payload))
        for kind, work in demo_files.KINDS.items():
            kinds[kind] = lambda job, work=work: self._do(job, lambda: work(self._options.root, job.payload))
        return kinds

    def _do(self, job: Job, work: Any) -> Any:
        with self._lock:
            self._count += 1
            ill_fated = self._count == self._options.on_job
        if self._options.slow:
            self._take_time(job, self._options.slow * random.uniform(0.8, 1.2))
        if ill_fated and self._options.crash:
            log.warning("%s: crashing now, in the middle of it, without a word to the server.", job)
            logging.shutdown()
            os.kill(os.getpid(), signal.SIGKILL)
        if ill_fated and self._options.hang is not None:
            long = "for ever" if math.isinf(self._options.hang) else f"for {self._options.hang:g} s"
            log.warning("%s: hanging %s. From now on the server hears nothing from this bot.", job, long)
            self._client.hang(self._options.hang)
            log.warning("%s: awake again; finishing the job as if nothing had happened.", job)
        return work()

    @staticmethod
    def _take_time(job: Job, seconds: float) -> None:
        began = time.monotonic()
        while (spent := time.monotonic() - began) < seconds:
            job.progress(100 * spent / seconds, f"{seconds - spent:.0f} s to go")
            job.cancelled.wait(min(0.5, seconds - spent))
            job.check()


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="A Jobsite bot to watch; the token comes from JOBSITE_TOKEN.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server (default: %(default)s)")
    parser.add_argument("--token-file", type=Path, help="read the token from this file, not from JOBSITE_TOKEN")
    parser.add_argument("--root", type=Path, default=Path(), help="the directory of checksum and wordcount's files")
    parser.add_argument("--concurrency", type=int, default=1, help="jobs at a time (default: %(default)s)")
    parser.add_argument("--slow", type=float, default=0.0, metavar="SECONDS", help="take about this long for a job")
    parser.add_argument("--grace", type=float, default=3.0, metavar="SECONDS", help="for running jobs when stopped")
    parser.add_argument("--shared", action="store_true", help="several processes use this token at the same time")
    fate = parser.add_mutually_exclusive_group()
    fate.add_argument(
        "--hang",
        type=float,
        nargs="?",
        const=math.inf,
        metavar="SECONDS",
        help="fall silent in the middle of a job, for ever or for so long; then report a late result",
    )
    fate.add_argument("--crash", action="store_true", help="kill this process in the middle of a job")
    parser.add_argument("--on-job", type=int, default=1, metavar="N", help="hang or crash on the N-th job (default: 1)")
    options = parser.parse_args(arguments)
    try:
        options.token = options.token_file.read_text().strip() if options.token_file else os.environ["JOBSITE_TOKEN"]
    except KeyError:
        parser.error("put the bot's token into JOBSITE_TOKEN, or name a file that has it with --token-file")
    except OSError as error:
        parser.error(f"the token file cannot be read: {error}")
    return options


def main() -> int:
    """Run the demo bot; the exit code is the library's."""
    options = read_options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        client = FallsSilent(options.url, options.token)
        client.runner = Bot(
            options.url,
            options.token,
            Demo(options, client).handlers(),
            concurrency=options.concurrency,
            alone=not options.shared,
            grace=options.grace,
            version="demo 1.0",
            client=client,
        )
    except ValueError as error:
        sys.exit(f"demo_bot.py: {error}")
    return client.runner.run()


if __name__ == "__main__":
    sys.exit(main())
