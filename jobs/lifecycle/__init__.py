"""Every transition of a job, once. Only this package writes the state of jobs, and of a bot's status and health.

A verb takes a set of jobs and returns what it changed. Its whole condition stands in the `WHERE` of its `UPDATE`, so
what came back is what happened; nothing is read first and saved later. Locks are always taken in the order jobs (by
id), then bots; a claim locks its bot first, which is safe because it never waits for a job. Locks are `NO KEY` ones:
at each commit PostgreSQL looks at the rows that new events and `stuck_job` point to, in an order nobody chooses, and
that look waits for a plain `FOR UPDATE` but not for these. Only `prune` takes that one: what it locks is deleted.

By bots: take_turn (`turn`), and as turns with one report (`reports`): claim, start, heartbeat, complete, fail,
hand_back. Of a bot's process (`processes`): hello,
see, restart, take_restart. By operators and the sweep (`moves`): release, cancel, retry, accept, prioritise, expire,
give_up, flag. Of bots (`holders`): regrade, quarantine, mark_down. Of the sweep: watched, look_again (`leases`), prune
(`retention`).
"""

from jobs.lifecycle.holders import Health, holding, locked, mark_down, quarantine, regrade, regrade_locked
from jobs.lifecycle.late import refusals
from jobs.lifecycle.leases import Watched, look_again, watched
from jobs.lifecycle.moves import accept, cancel, expire, flag, give_up, prioritise, release, retry
from jobs.lifecycle.processes import hello, restart, see, take_restart
from jobs.lifecycle.reports import claim, complete, fail, hand_back, heartbeat, start
from jobs.lifecycle.retention import prune
from jobs.lifecycle.turn import TurnRequest, TurnRow, take_turn, turn_request
from jobs.lifecycle.values import SWEEP, By, Change, Claimed, Outcome, Renewed, Report, Wanted

__all__ = [
    "SWEEP", "By", "Change", "Claimed", "Health", "Outcome", "Renewed", "Report", "TurnRequest", "TurnRow", "Wanted",
    "Watched", "accept", "cancel", "claim", "complete", "expire", "fail", "flag", "give_up", "hand_back", "heartbeat",
    "hello", "holding", "locked", "look_again", "mark_down", "prioritise", "prune", "quarantine", "refusals", "regrade",
    "regrade_locked", "release", "restart", "retry", "see", "start", "take_restart", "take_turn", "turn_request",
    "watched",
]  # fmt: skip
