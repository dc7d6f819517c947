"""The calls about schedules, which producers and operators make with an API key."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from .messages import given, moment
from .transport import Transport


class ScheduleCalls(Transport):
    """What `Client` has for schedules. Answers are as the server gives them."""

    def put_schedule(self, name: str, kind: str, payload: Any = None, **fields: Any) -> Any:
        """Create the schedule `name`, or change it to just this; the same again changes nothing.

        `fields`: `cron` and `time_zone`, or `every` in seconds; `priority`, `group`, `key`, `overlap`, `catch_up`,
        `catch_up_within`, `starts_at`, `ends_at`. Moments need a time zone.
        """
        moments = {name: moment(name, at) for name, at in fields.items() if isinstance(at, datetime)}
        body = given(kind=kind, payload=payload, **(fields | moments))
        return self.call("PUT", _path(name), body)

    def schedule(self, name: str) -> Any:
        """One schedule."""
        return self.call("GET", _path(name))

    def schedules(self, **filters: str | int) -> Any:
        """One page of schedules. `cursor` is for later pages."""
        return self.call("GET", "schedules", params=filters)

    def delete_schedule(self, name: str) -> Any:
        """Delete a schedule. Its jobs stay."""
        return self.call("DELETE", _path(name), repeatable=False)

    def run_schedule(self, name: str, reason: str | None = None) -> Any:
        """Make a job now, whatever the rule, a pause and other jobs of the schedule say."""
        return self.call("POST", f"{_path(name)}/run", given(reason=reason), repeatable=False)

    def pause_schedule(self, name: str, reason: str | None = None, *, until: datetime | None = None) -> Any:
        """Make no jobs until `until`, or until it is resumed."""
        return self.call("POST", f"{_path(name)}/pause", given(reason=reason, until=moment("until", until)))

    def resume_schedule(self, name: str, reason: str | None = None) -> Any:
        """Make jobs again, from the next moment on."""
        return self.call("POST", f"{_path(name)}/resume", given(reason=reason))

    def skip_schedule(self, name: str, reason: str | None = None) -> Any:
        """Skip the next moment."""
        return self.call("POST", f"{_path(name)}/skip", given(reason=reason), repeatable=False)

    def occurrences(self, name: str, **filters: str | int) -> Any:
        """One page of what became of its moments. Filters: `fate`, `since`, `until`; `cursor` for later pages."""
        return self.call("GET", f"{_path(name)}/occurrences", params=filters)

    def preview_schedule(self, **timing: Any) -> Any:
        """What a rule means, `{occurrences, words}`: `cron` and `time_zone`, or `every` in seconds."""
        return self.call("POST", "schedules/preview", given(**timing))


def _path(name: str) -> str:
    return f"schedules/{quote(str(name), safe='')}"
