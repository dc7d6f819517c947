"""The call about limits, which bots make with their token and operators with an API key."""

from typing import Any

from .messages import given, json_object
from .transport import Transport


class LimitCalls(Transport):
    """What `Client` has for limits."""

    def throttle(
        self, kind: str, seconds: float, *, group: str | None = None, reason: str | None = None
    ) -> dict[str, Any]:
        """Let no jobs of this kind, or of this group of it, be claimed for so many seconds, at most 3600.

        For a bot whose service asks for that. 0 lifts it, with an operator's key.
        """
        return json_object(
            self.call("POST", "throttle", {"kind": kind, "for": seconds} | given(group=group, reason=reason))
        )
