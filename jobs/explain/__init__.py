"""Explain a job's status, its history, and its kind's policy in words."""
