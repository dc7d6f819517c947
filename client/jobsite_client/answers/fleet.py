"""The answers about fleet.

Made from the OpenAPI document by `python -m tests.contract.surface`: do not change it by hand.
"""

from datetime import datetime
from typing import Literal, TypedDict

from .jobs import JobOut

BotStatus = Literal["idle", "busy", "down"]
HealthStatus = Literal["normal", "potentially_stuck", "unhealthy"]


class BotOut(TypedDict):
    id: int
    name: str
    status: BotStatus
    health_status: HealthStatus
    health_reason: str
    stuck_job: int | None
    last_seen_at: datetime | None
    kinds: list[str]
    capacity: int | None
    expected: bool
    paused: bool
    paused_until: datetime | None
    pause_reason: str
    quarantined: bool
    quarantine_reason: str
    version: str
    created_at: datetime


class BotsOut(TypedDict):
    bots: list[BotOut]
    next_cursor: str | None


class NewBotOut(BotOut):
    token: str


class InstanceOut(TypedDict):
    """One process of a bot. The name is empty for processes that never call hello."""

    name: str
    identity: str
    host: str
    pid: int | None
    version: str
    started_at: datetime
    last_seen_at: datetime
    asked_kinds: list[str] | None
    slots: int | None
    slots_lost: int
    ended_at: datetime | None
    replaced_by: str
    restart: bool
    paused: bool
    paused_until: datetime | None
    pause_reason: str
    quarantined_at: datetime | None
    quarantine_reason: str
    probe_at: datetime | None


class OneBotOut(BotOut):
    instances: list[InstanceOut]


class _BotChangeOut(TypedDict):
    bot_id: int
    status: str
    message: str


class BotChangeOut(_BotChangeOut, total=False):
    released: list[int]


class StuckJobOut(JobOut):
    reason: str


class StuckSummary(TypedDict):
    jobs: int
    bots: int
    potentially_stuck: int
    unhealthy: int
    down: int


class StuckOut(TypedDict):
    jobs: list[StuckJobOut]
    bots: list[BotOut]
    summary: StuckSummary
