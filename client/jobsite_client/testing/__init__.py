"""Test handlers and bots without a Jobsite server: `run_inline`, and a server in memory."""

from .inline import run_inline
from .server import MemoryServer

__all__ = ["MemoryServer", "run_inline"]
