"""Sweep: grade leases that are due, act by each kind's policy, and delete old jobs.

It costs what is due, not what exists: `deadline_at` is when a lease must be checked (index `job_deadline`), and each
batch is one short transaction with the same few statements whatever its size. A batch locks its jobs and then their
bots, both with SKIP LOCKED: two sweeps share the work, a job that its bot is reporting on is left to the bot, and
nobody waits for a sweep that itself waits for a lock.
"""
