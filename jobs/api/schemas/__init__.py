"""The bodies of the API's requests and answers. Input is strict: unknown fields and wrong types are refused by name."""

from jobs.api.schemas.bots import (
    BotChangeOut,
    BotHeartbeatIn,
    BotHeartbeatOut,
    BotIn,
    BotOut,
    BotsOut,
    ExpectIn,
    HelloIn,
    HelloOut,
    NewBotOut,
    StuckJobOut,
    StuckOut,
    StuckSummary,
)  # fmt: skip
from jobs.api.schemas.fields import (
    ERROR_LENGTH,
    MAX_BULK,
    MAX_KINDS,
    Attempt,
    JobId,
    Kind,
)  # fmt: skip
from jobs.api.schemas.jobs import (
    BadLineOut,
    BulkIn,
    BulkOut,
    ChangeOut,
    DeletedOut,
    DeleteIn,
    EventOut,
    EventsOut,
    EvidenceOut,
    ExplainedOut,
    JobOut,
    JobsOut,
    ReasonIn,
    ReleaseIn,
)  # fmt: skip
from jobs.api.schemas.leases import (
    ClaimIn,
    ClaimOut,
    CompleteIn,
    CompleteItem,
    ExchangeIn,
    ExchangeOut,
    FailIn,
    FailItem,
    HeartbeatIn,
    HeartbeatItem,
    LeaseIn,
    LeaseOut,
    RejectedOut,
    RenewedOut,
    ReportOut,
)  # fmt: skip
from jobs.api.schemas.problems import Problem
from jobs.api.schemas.schedules import (
    OccurrenceOut,
    OccurrencesOut,
    PauseScheduleIn,
    PreviewOut,
    ScheduleChangeOut,
    ScheduleOut,
    SchedulesOut,
)  # fmt: skip

__all__ = [
    "ERROR_LENGTH", "MAX_BULK", "MAX_KINDS", "Attempt", "BadLineOut", "BotChangeOut", "BotHeartbeatIn",
    "BotHeartbeatOut", "BotIn", "BotOut", "BotsOut", "BulkIn", "BulkOut", "ChangeOut", "ClaimIn", "ClaimOut",
    "CompleteIn", "CompleteItem", "DeleteIn", "DeletedOut",
    "EventOut", "EventsOut", "EvidenceOut", "ExchangeIn", "ExchangeOut", "ExpectIn",
    "ExplainedOut", "FailIn", "FailItem", "HeartbeatIn", "HeartbeatItem", "HelloIn", "HelloOut", "JobId", "JobOut",
    "JobsOut", "Kind", "LeaseIn", "LeaseOut", "NewBotOut", "OccurrenceOut", "OccurrencesOut", "PauseScheduleIn",
    "PreviewOut", "Problem", "ReasonIn", "RejectedOut", "ReleaseIn", "RenewedOut", "ReportOut", "ScheduleChangeOut",
    "ScheduleOut", "SchedulesOut", "StuckJobOut", "StuckOut", "StuckSummary",
]  # fmt: skip
