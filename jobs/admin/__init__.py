"""The Django admin for operators. It contains no rules: every button calls a verb of the lifecycle."""

from jobs.admin import audit, bots, error_groups, events, jobs, kinds, schedules  # noqa: F401  registers the pages
