"""The calls about error groups, which operators make with an API key."""

from ..answers import ErrorGroupOut, ErrorStatus, RetriedOut
from ..messages import JobId, given
from ..method import call, listing
from ..pages import Listing
from ..request import Request, at, get, post


class ErrorGroupCalls:
    """What the clients have for error groups: failures of one kind whose errors are alike."""

    @listing
    def error_groups(
        self,
        *,
        status: ErrorStatus | None = None,
        kind: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[ErrorGroupOut]:
        """Iterate over error groups, those that began last first; `limit`: at most so many."""
        filters = given(status=status, kind=kind)
        return Listing(ErrorGroupOut, "error-groups", "error_groups", filters, limit, cursor)

    @call
    def error_group(self, group_id: JobId) -> Request[ErrorGroupOut]:
        """One error group."""
        return get(ErrorGroupOut, at("error-groups", group_id), {})

    @call
    def resolve_error_group(self, group_id: JobId, reason: str | None = None) -> Request[ErrorGroupOut]:
        """Resolve an error group. Once it fails again it is open again."""
        return post(ErrorGroupOut, at("error-groups", group_id, "resolve"), given(reason=reason))

    @call
    def ignore_error_group(self, group_id: JobId, reason: str | None = None) -> Request[ErrorGroupOut]:
        """Ignore an error group: it is counted, and opens no incident."""
        return post(ErrorGroupOut, at("error-groups", group_id, "ignore"), given(reason=reason))

    @call
    def retry_error_group(
        self, group_id: JobId, reason: str | None = None, *, most: int | None = None
    ) -> Request[RetriedOut]:
        """Retry the newest failed jobs of an error group, at most `most`. Repeat it while the answer has `more`."""
        body = given(reason=reason, most=most)
        return post(RetriedOut, at("error-groups", group_id, "retry"), body, repeatable=False)
