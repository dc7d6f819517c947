"""Errors about incidents. Pure."""

from jobsite.lib.errors import JobsiteError


class NotOpen(JobsiteError):
    """The incident has resolved, so it cannot be acknowledged."""

    code, status, title = "not_open", 400, "The incident is resolved"
