"""Jobsite's Python library for bots and producers.

`Bot` runs handlers and does everything else. `Client` and `AsyncClient` have a typed method for each call of the API.
"""

from .api import AsyncClient, Client
from .attempts import Ended
from .bot import EXIT_REFUSED, EXIT_REPLACED, EXIT_RESTART, EXIT_STOPPED, Bot
from .errors import (
    Cancelled,
    GiveUp,
    InstanceReplaced,
    JobsiteError,
    LeaseLost,
    PayloadError,
    RetryLater,
    Unauthorized,
    Unavailable,
)
from .job import Job
from .logs import JobFilter, current_job, log_to_stderr
from .messages import (
    Claim,
    ClaimedJob,
    Completed,
    Exchange,
    Failed,
    Heartbeat,
    Orders,
    Rejected,
    Released,
    Renewal,
    Slots,
)

__all__ = [
    "EXIT_REFUSED",
    "EXIT_REPLACED",
    "EXIT_RESTART",
    "EXIT_STOPPED",
    "AsyncClient",
    "Bot",
    "Cancelled",
    "Claim",
    "ClaimedJob",
    "Client",
    "Completed",
    "Ended",
    "Exchange",
    "Failed",
    "GiveUp",
    "Heartbeat",
    "InstanceReplaced",
    "Job",
    "JobFilter",
    "JobsiteError",
    "LeaseLost",
    "Orders",
    "PayloadError",
    "Rejected",
    "Released",
    "Renewal",
    "RetryLater",
    "Slots",
    "Unauthorized",
    "Unavailable",
    "current_job",
    "log_to_stderr",
]
