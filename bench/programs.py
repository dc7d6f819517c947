"""Start and stop programs. None of them outlives the bench, however it ends."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psutil

PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    # The kernel ends the child with its parent: a bench that was killed cannot. Linux only.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a program in its own session, so that Ctrl-C reaches only the bench, which stops all in order."""
    die = _die_with_parent if sys.platform == "linux" else None
    return subprocess.Popen(command, start_new_session=True, preexec_fn=die, **options)


def stop(process: subprocess.Popen[Any], timeout: float = 10) -> None:
    """Terminate it, kill it after `timeout` seconds, and kill what it started."""
    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for child in family:
        with suppress(psutil.Error):
            child.kill()


def peak_memory(command: Sequence[str], **options: Any) -> tuple[int, float, int]:
    """Run a program and return `(exit code, seconds of CPU, most memory in bytes)`."""
    process = start(command, **options)
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        stop(process)
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
