"""The calls about schedules, which producers and operators make with an API key."""

from datetime import datetime
from typing import Any

from ..answers import CatchUp, Fate, OccurrenceOut, Overlap, PreviewOut, ScheduleChangeOut, ScheduleOut
from ..messages import given
from ..method import call, listing
from ..pages import Listing
from ..request import Request, answer_as, at, get, post


class ScheduleCalls:
    """What the clients have for schedules. Moments that are sent need a time zone; durations are in seconds."""

    @call
    def put_schedule(
        self,
        name: str,
        kind: str,
        payload: Any = None,
        *,
        cron: str | None = None,
        every: int | None = None,
        time_zone: str | None = None,
        priority: int | None = None,
        group: str | None = None,
        key: str | None = None,
        overlap: Overlap | None = None,
        catch_up: CatchUp | None = None,
        catch_up_within: int | None = None,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
    ) -> Request[ScheduleOut]:
        """Create the schedule `name`, or change it to just this; the same again changes nothing.

        Give `cron` and `time_zone`, or `every` in seconds.
        """
        body = given(kind=kind, payload=payload, cron=cron, every=every, time_zone=time_zone, priority=priority)
        body |= given(group=group, key=key, overlap=overlap, catch_up=catch_up, catch_up_within=catch_up_within)
        body |= given(starts_at=starts_at, ends_at=ends_at)
        return Request("PUT", at("schedules", name), answer_as(ScheduleOut), body)

    @call
    def schedule(self, name: str) -> Request[ScheduleOut]:
        """One schedule."""
        return get(ScheduleOut, at("schedules", name), {})

    @listing
    def schedules(self, *, limit: int | None = None, cursor: str | None = None) -> Listing[ScheduleOut]:
        """Iterate over schedules in the order in which they were made; `limit`: at most so many."""
        return Listing(ScheduleOut, "schedules", "schedules", {}, limit, cursor)

    @call
    def delete_schedule(self, name: str) -> Request[ScheduleChangeOut]:
        """Delete a schedule. Its jobs stay."""
        return Request("DELETE", at("schedules", name), answer_as(ScheduleChangeOut), repeatable=False)

    @call
    def run_schedule(self, name: str, reason: str | None = None) -> Request[ScheduleChangeOut]:
        """Make a job now, whatever the rule, a pause and other jobs of the schedule say."""
        return post(ScheduleChangeOut, at("schedules", name, "run"), given(reason=reason), repeatable=False)

    @call
    def pause_schedule(
        self, name: str, reason: str | None = None, *, until: datetime | None = None
    ) -> Request[ScheduleChangeOut]:
        """Make no jobs until `until`, or until it is resumed."""
        return post(ScheduleChangeOut, at("schedules", name, "pause"), given(reason=reason, until=until))

    @call
    def resume_schedule(self, name: str, reason: str | None = None) -> Request[ScheduleChangeOut]:
        """Make jobs again, from the next moment on."""
        return post(ScheduleChangeOut, at("schedules", name, "resume"), given(reason=reason))

    @call
    def skip_schedule(self, name: str, reason: str | None = None) -> Request[ScheduleChangeOut]:
        """Skip the next moment."""
        return post(ScheduleChangeOut, at("schedules", name, "skip"), given(reason=reason), repeatable=False)

    @listing
    def occurrences(
        self,
        name: str,
        *,
        fate: Fate | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[OccurrenceOut]:
        """Iterate over what became of its moments, the last decided first; `limit`: at most so many."""
        path, filters = at("schedules", name, "occurrences"), given(fate=fate, since=since, until=until)
        return Listing(OccurrenceOut, path, "occurrences", filters, limit, cursor)

    @call
    def preview_schedule(
        self,
        *,
        cron: str | None = None,
        every: int | None = None,
        time_zone: str | None = None,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
    ) -> Request[PreviewOut]:
        """What a rule means, `{occurrences, words}`: `cron` and `time_zone`, or `every` in seconds."""
        body = given(cron=cron, every=every, time_zone=time_zone, starts_at=starts_at, ends_at=ends_at)
        return post(PreviewOut, "schedules/preview", body)
