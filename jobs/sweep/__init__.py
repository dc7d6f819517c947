"""The sweep: grade what is due, act by each kind's policy, and delete old jobs.

It costs what is due, not what exists: `deadline_at` says when a lease must be looked at (index `job_deadline`), and
each batch is one short transaction with the same few statements whatever it holds. A batch locks its jobs and then
their bots, both with SKIP LOCKED: two sweeps share the work, a job that its bot is just reporting on is left to the
bot, and nobody waits for a sweep that itself waits for somebody.
"""
