"""Handlers that a bot can run in processes of their own: functions of a module."""

import asyncio
import gc
import logging
import os
import threading
import time
from dataclasses import dataclass
from decimal import Decimal

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


# --- Async ------------------------------------------------------------------------------------------------------------


async def slowly(job: Job) -> int:
    await asyncio.sleep(0.001)
    return os.getpid()


async def waits(job: Job) -> None:
    """Wait for what does not come."""
    try:
        await asyncio.Event().wait()
    finally:
        job.progress(99, "cleaned up")


async def raises(job: Job) -> None:
    raise RuntimeError("the disk is full")


# --- Payloads, results, log lines -------------------------------------------------------------------------------------


@dataclass
class Size:
    width: int
    height: int = 480


def area(job: Job, size: Size) -> Decimal:
    return Decimal(size.width * size.height)


def secretive(job: Job) -> object:
    return threading.Lock()


def chatty(job: Job) -> None:
    logging.getLogger("studio").info("resizing %s", job.payload)
    logging.getLogger("studio.noise").debug("not for anybody")
