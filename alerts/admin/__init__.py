"""Incidents, channels and deliveries in the admin. It holds no rules; every button calls a verb."""

from alerts.admin import channels, deliveries, incidents  # noqa: F401  registers the pages
