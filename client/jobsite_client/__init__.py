"""Jobsite's library for bots and producers in Python.

`Bot` runs handlers and takes care of everything else; `Client` is one typed method per call of the HTTP API.
"""

from .api import Claim, ClaimedJob, Client, Orders, Renewal
from .bot import EXIT_REFUSED, EXIT_REPLACED, EXIT_RESTART, EXIT_STOPPED, Bot
from .errors import Cancelled, GiveUp, InstanceReplaced, JobsiteError, LeaseLost, Unauthorized, Unavailable
from .job import Job

__all__ = [
    "EXIT_REFUSED",
    "EXIT_REPLACED",
    "EXIT_RESTART",
    "EXIT_STOPPED",
    "Bot",
    "Cancelled",
    "Claim",
    "ClaimedJob",
    "Client",
    "GiveUp",
    "InstanceReplaced",
    "Job",
    "JobsiteError",
    "LeaseLost",
    "Orders",
    "Renewal",
    "Unauthorized",
    "Unavailable",
]
