"""The operators' door: the Django admin. It holds no rules; every button calls a verb."""

from jobs.admin import bots, events, jobs, kinds  # noqa: F401  registers the pages
