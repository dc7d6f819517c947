"""Handlers that a bot can run in processes of their own: functions of a module."""

import gc
import os
import threading
import time

from jobsite_client import GiveUp, Job


def where(job: Job) -> int:
    """The process it runs in."""
    job.progress(40, "half way")
    return os.getpid()


def known(job: Job) -> int:
    """How many jobs its process has in memory."""
    return sum(isinstance(thing, Job) for thing in gc.get_objects())


def broken(job: Job) -> None:
    raise RuntimeError("the disk is full")


def hopeless(job: Job) -> None:
    raise GiveUp("There is no file.")


def deaf(job: Job) -> None:
    """Never look up."""
    while True:
        time.sleep(60)


def gone(job: Job) -> None:
    """End the whole process, as the kernel does when memory is short."""
    os._exit(9)


def obedient(job: Job) -> None:
    while True:
        job.check()
        threading.Event().wait(0.01)
