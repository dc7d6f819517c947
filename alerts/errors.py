"""Errors about incidents. Pure."""

from jobsite.lib.errors import Faulty


class NotOpen(Faulty):
    """The incident has resolved, so it cannot be acknowledged."""

    code, status, title = "not_open", 400, "The incident is resolved"
    field = "incident_id"
    members = {"incident_id": int}
