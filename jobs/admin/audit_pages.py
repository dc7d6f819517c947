"""Where the page of what an audit entry is about is."""

from django.urls import NoReverseMatch, reverse

from bots.models import AuditEntry

#: Where an object's page is, by what the audit log calls it.
PAGES = {
    "bot": "bots_bot", "job": "jobs_job", "kind": "jobs_jobkind", "key": "bots_apikey", "channel": "alerts_channel",
    "incident": "alerts_incident", "delivery": "alerts_delivery", "user": "auth_user", "group": "auth_group",
    "second_factor": "bots_secondfactor", "error_group": "jobs_errorgroup",
}  # fmt: skip


def page_of(entry: AuditEntry) -> str:
    """The address of the page; empty where there is none."""
    if not entry.object_id or entry.object_type not in PAGES:
        return ""
    try:
        return reverse(f"admin:{PAGES[entry.object_type]}_change", args=[entry.object_id])
    except NoReverseMatch:
        return ""
