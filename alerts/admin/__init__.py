"""Incidents and channels in the admin. It holds no rules; every button calls a verb."""

from alerts.admin import incidents  # noqa: F401  registers the pages
