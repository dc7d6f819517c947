"""The calls of operators about bots, incidents and the audit log, with an API key."""

from collections.abc import Sequence
from datetime import datetime

from ..answers import (
    AcknowledgedOut,
    Act,
    AuditEntryOut,
    BotChangeOut,
    BotOut,
    BotStatus,
    HealthStatus,
    IncidentOut,
    IncidentStatus,
    NewBotOut,
    OneBotOut,
    ScaleOut,
    StuckOut,
    Via,
    WholeIncidentOut,
)
from ..messages import JobId, given
from ..method import call, listing
from ..pages import Listing
from ..request import Request, at, get, post

# Seconds that the server waits for a bot to become idle.
IDLE_WITHIN = 30.0


class FleetCalls:
    """What the clients have for operators."""

    # --- Bots -----------------------------------------------------------------------------------------------------
    # A second call would be another act in the audit log, so they are not retried.

    @call
    def register_bot(
        self,
        name: str,
        *,
        kinds: Sequence[str] | None = None,
        capacity: int | None = None,
        expected: bool | None = None,
    ) -> Request[NewBotOut]:
        """Register a bot. The answer has its token, which is shown only once."""
        body = given(name=name, kinds=None if kinds is None else list(kinds), capacity=capacity, expected=expected)
        return post(NewBotOut, "bots", body, repeatable=False)

    @listing
    def bots(
        self,
        *,
        status: BotStatus | None = None,
        health: HealthStatus | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[BotOut]:
        """Iterate over bots in the order in which they were registered; `limit`: at most so many."""
        return Listing(BotOut, "bots", "bots", given(status=status, health=health), limit, cursor)

    @call
    def bot(self, bot_id: JobId, *, wait_idle: bool = False) -> Request[OneBotOut]:
        """One bot. With `wait_idle` the server answers when it holds no job, or after 30 s."""
        params = {"wait": "idle"} if wait_idle else {}
        return get(OneBotOut, at("bots", bot_id), params, wait=IDLE_WITHIN if wait_idle else 0.0)

    @call
    def scale(self, kinds: Sequence[str] | None = None) -> Request[ScaleOut]:
        """How many jobs there are for bots: `jobs` is how many slots could be busy. Without `kinds`, of all kinds."""
        return get(ScaleOut, "scale", given(kind=None if kinds is None else list(kinds)))

    @call
    def expect_bot(self, bot_id: JobId, expected: bool = True, reason: str | None = None) -> Request[BotChangeOut]:
        """Set whether an incident opens when this bot stops calling."""
        return post(
            BotChangeOut, at("bots", bot_id, "expect"), given(expected=expected, reason=reason), repeatable=False
        )

    @call
    def pause_bot(
        self,
        bot_id: JobId,
        *,
        reason: str | None = None,
        until: datetime | None = None,
        instance: str | None = None,
    ) -> Request[BotChangeOut]:
        """Pause this bot, or one instance of it: it gets no new jobs. `until` needs a time zone."""
        body = given(reason=reason, until=until, instance=instance)
        return post(BotChangeOut, at("bots", bot_id, "pause"), body, repeatable=False)

    @call
    def resume_bot(
        self, bot_id: JobId, *, reason: str | None = None, instance: str | None = None
    ) -> Request[BotChangeOut]:
        """Resume this bot, or one instance of it."""
        body = given(reason=reason, instance=instance)
        return post(BotChangeOut, at("bots", bot_id, "resume"), body, repeatable=False)

    @call
    def restart_bot(
        self, bot_id: JobId, *, reason: str | None = None, instance: str | None = None
    ) -> Request[BotChangeOut]:
        """Release the jobs of this bot, or of one instance, and ask it to restart."""
        body = given(reason=reason, instance=instance)
        return post(BotChangeOut, at("bots", bot_id, "restart"), body, repeatable=False)

    @call
    def stuck(self) -> Request[StuckOut]:
        """Everything that is stuck now: `{jobs, bots, summary}`."""
        return get(StuckOut, "stuck", {})

    # --- Incidents and the audit log ------------------------------------------------------------------------------

    @listing
    def incidents(
        self, *, status: IncidentStatus | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Listing[IncidentOut]:
        """Iterate over incidents, newest first; `limit`: at most so many."""
        return Listing(IncidentOut, "incidents", "incidents", given(status=status), limit, cursor)

    @call
    def incident(self, incident_id: JobId) -> Request[WholeIncidentOut]:
        """One incident, with its bots and its history."""
        return get(WholeIncidentOut, at("incidents", incident_id), {})

    @call
    def acknowledge_incident(self, incident_id: JobId, remark: str | None = None) -> Request[AcknowledgedOut]:
        """Acknowledge an incident: reminders stop."""
        path = at("incidents", incident_id, "acknowledge")
        return post(AcknowledgedOut, path, given(remark=remark), repeatable=False)

    @listing
    def audit(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by: str | None = None,
        key: str | None = None,
        verb: Act | None = None,
        via: Via | None = None,
        object: str | None = None,
        object_id: JobId | None = None,
        request_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[AuditEntryOut]:
        """Iterate over what people did, newest first; `limit`: at most so many."""
        filters = given(since=since, until=until, by=by, key=key, verb=verb, via=via)
        filters |= given(object=object, object_id=object_id, request_id=request_id)
        return Listing(AuditEntryOut, "audit", "audit", filters, limit, cursor)
