"""Schedules: rules that make jobs, their moments, and the ledger of what became of each moment."""
