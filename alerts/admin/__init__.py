"""Alerts in the Django admin. It holds no rules; every button calls a verb."""

from alerts.admin import channels, deliveries  # noqa: F401  registers the pages
