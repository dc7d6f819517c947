"""The bodies of the API's requests and answers. Input is strict: unknown fields and wrong types are refused by name."""

from jobs.api.schemas.bots import (
    BotChangeOut,
    BotHeartbeatIn,
    BotHeartbeatOut,
    BotIn,
    BotOut,
    BotsOut,
    ExpectIn,
    GoodbyeIn,
    GoodbyeOut,
    HelloIn,
    HelloOut,
    InstanceIn,
    InstanceOut,
    NewBotOut,
    OneBotOut,
    OrdersOut,
    PauseIn,
    StuckJobOut,
    StuckOut,
    StuckSummary,
)  # fmt: skip
from jobs.api.schemas.error_groups import ErrorGroupOut, ErrorGroupsOut, RetriedOut, RetryGroupIn
from jobs.api.schemas.fields import (
    ERROR_LENGTH,
    MAX_BULK,
    MAX_KINDS,
    Attempt,
    JobId,
)  # fmt: skip
from jobs.api.schemas.jobs import (
    BadLineOut,
    BulkIn,
    BulkOut,
    ChangeOut,
    DeletedOut,
    DeleteIn,
    EditIn,
    EnqueuedOut,
    EventOut,
    EventsOut,
    EvidenceOut,
    ExplainedOut,
    JobOut,
    JobsOut,
    ReasonIn,
    ReleaseIn,
    TakeBackIn,
)  # fmt: skip
from jobs.api.schemas.leases import (
    ClaimIn,
    ClaimOut,
    CompleteIn,
    CompleteItem,
    ExchangeClaimIn,
    ExchangeIn,
    ExchangeOut,
    FailIn,
    FailItem,
    HeartbeatIn,
    HeartbeatItem,
    LeaseIn,
    LeaseOut,
    RejectedOut,
    ReleaseItem,
    RenewedOut,
    ReportOut,
)  # fmt: skip
from jobs.api.schemas.limits import ScaleOut, ThrottleIn, ThrottleOut, WorkloadOut
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
    "CompleteIn", "CompleteItem", "DeleteIn", "DeletedOut", "EditIn", "EnqueuedOut", "ErrorGroupOut",
    "ErrorGroupsOut", "EventOut", "EventsOut", "EvidenceOut", "ExchangeClaimIn", "ExchangeIn", "ExchangeOut",
    "ExpectIn", "ExplainedOut", "FailIn", "FailItem", "GoodbyeIn", "GoodbyeOut", "HeartbeatIn", "HeartbeatItem",
    "HelloIn", "HelloOut", "InstanceIn", "InstanceOut", "JobId", "JobOut", "JobsOut", "LeaseIn", "LeaseOut",
    "NewBotOut", "OccurrenceOut", "OccurrencesOut", "OneBotOut", "OrdersOut", "PauseIn", "PauseScheduleIn",
    "PreviewOut", "Problem", "ReasonIn", "RejectedOut", "ReleaseIn", "ReleaseItem", "RenewedOut", "ReportOut",
    "RetriedOut", "RetryGroupIn", "ScaleOut", "ScheduleChangeOut", "ScheduleOut", "SchedulesOut", "StuckJobOut",
    "StuckOut", "StuckSummary", "TakeBackIn", "ThrottleIn", "ThrottleOut", "WorkloadOut",
]  # fmt: skip
