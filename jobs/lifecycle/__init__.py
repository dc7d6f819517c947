"""Every transition of a job, once. Only this package writes the state of jobs, and the status and health of bots.

A verb takes a set of jobs and returns what it changed. Its whole condition is in the `WHERE` of its `UPDATE`, so the
rows that it returns are what changed; nothing is read first and saved later. Locks are always taken in the order jobs
(by id), then bots, then gates (by name); a claim locks its bot first, which is safe because it never waits for a job.
Locks are `NO KEY` ones: at each commit PostgreSQL checks the rows that new events and `stuck_job` refer to, in an order
that nobody chooses, and this check waits for a plain `FOR UPDATE` but not for these. Only `retention` takes that: it
deletes rows.

By bots: take_turn (`turn`), and as turns with one report (`reports`): claim, start, heartbeat, complete, fail,
hand_back. Of a bot's instances (`processes`): hello, goodbye, attend, see, lost_leases, take_restart. What operators
want of these (`orders`): restart, pause_instance, resume_instance. By operators and the sweep (`moves`): release,
cancel, retry, accept, prioritise, drop, expire, give_up, flag; and by producers: replace. By operators
(`corrections`): edit, retry_with, take_back. Of bots (`holders`): regrade,
mark_down. Of suspicion (`quarantines`): quarantine, clear_quarantine, judged. Of the sweep: check_leases,
schedule_checks (`leases`). What deletes (`retention`): prune, prune_instances, and delete by operators. Of limits
(`gates`): limits_changed, repair_gates, prune_gates; throttle and lift (`throttles`).
"""

from jobs.lifecycle.corrections import (
    JOBS_OF_ENTRY,
    REVERSIBLE,
    Edited,
    edit,
    entries_of,
    jobs_of,
    number_of_jobs,
    retry_with,
    reversible,
    take_back,
)  # fmt: skip
from jobs.lifecycle.gates import limits_changed, prune_gates, repair_gates
from jobs.lifecycle.holders import Health, holding, lock_bots, mark_down, regrade, regrade_locked
from jobs.lifecycle.late import refusals
from jobs.lifecycle.leases import LeaseCheck, check_leases, schedule_checks
from jobs.lifecycle.moves import accept, cancel, drop, expire, flag, give_up, prioritise, release, replace, retry
from jobs.lifecycle.orders import orders, pause_instance, restart, resume_instance
from jobs.lifecycle.processes import attend, goodbye, hello, lost_leases, see, take_restart
from jobs.lifecycle.quarantines import clear_quarantine, judged, quarantine
from jobs.lifecycle.reports import claim, complete, fail, hand_back, heartbeat, release_content, start
from jobs.lifecycle.retention import delete, prune, prune_instances
from jobs.lifecycle.throttles import lift, throttle
from jobs.lifecycle.turn import TurnRequest, TurnRow, take_turn, take_turn_on_loop, turn_request
from jobs.lifecycle.values import SWEEP, By, Change, Claimed, ClaimRequest, Outcome, Refusal, Renewed, Report

__all__ = [
    "JOBS_OF_ENTRY", "REVERSIBLE", "SWEEP", "By", "Change", "ClaimRequest", "Claimed", "Edited", "Health",
    "LeaseCheck", "Outcome", "Refusal", "Renewed", "Report", "TurnRequest", "TurnRow", "accept", "attend", "cancel",
    "check_leases", "claim", "clear_quarantine", "complete", "delete", "drop", "edit", "entries_of", "expire",
    "fail", "flag", "give_up", "goodbye", "hand_back", "heartbeat", "hello", "holding", "jobs_of", "judged", "lift",
    "limits_changed", "lock_bots", "lost_leases", "mark_down", "number_of_jobs", "orders", "pause_instance",
    "prioritise", "prune", "prune_gates", "prune_instances", "quarantine", "refusals", "regrade", "regrade_locked",
    "release", "release_content", "repair_gates", "replace", "restart", "resume_instance", "retry", "retry_with",
    "reversible", "schedule_checks", "see", "start", "take_back", "take_restart", "take_turn", "take_turn_on_loop",
    "throttle", "turn_request",
]  # fmt: skip
