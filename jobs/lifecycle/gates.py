"""Gates, where limits are kept: opened after a change, and after a kind's jobs have come into their lane.

What is held is counted at each claim (functions/jobs_room.sql). That a gate is open is a hint, which is set after the
commit of what changed; what a stopped process did not do, the sweep does.
"""

import json
import logging
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial
from time import monotonic

from django.db import connection, transaction

from jobs.lifecycle.statements import SQL, run
from jobs.turns import notifications
from jobsite.lib import outcomes
from jobsite.lib.db import fetch

logger = logging.getLogger(__name__)

#: A group of a kind: both names. Jobs without a group are the group without a name.
Group = tuple[str, str]
#: How many groups are opened in one statement, and how many jobs are moved.
BATCH = 1000
#: For how many seconds jobs are moved by the call that sets or removes limits. The sweep does the rest.
MOVED_FOR = 5.0
MOVED_BY_SWEEP = 10.0
#: Gates of groups that are deleted in one statement.
PRUNED = 1000


def open_added(groups: Collection[Group]) -> None:
    """Open these groups, once the transaction has committed: they have new jobs, or such as are pending again."""
    if groups:
        _after_commit(partial(_open, [(kind, group, True, False) for kind, group in sorted(groups)]))


def open_changed(job_ids: Collection[int]) -> None:
    """Open the groups of those of these jobs that are gated, once the transaction has committed: they were changed."""
    if job_ids:
        _after_commit(partial(_open_changed, list(job_ids)))


def _open_changed(job_ids: list[int]) -> None:
    rows = run("gated_groups", ids=job_ids)
    _open([(row["kind"], row["group"], row["added"], True) for row in rows])


def _open(groups: list[tuple[str, str, bool, bool]]) -> None:
    text, names = SQL.numbered("open_gates")
    for first in range(0, len(groups), BATCH):
        kinds, names_of, added, ended = map(list, zip(*groups[first : first + BATCH], strict=True))
        params = {"kinds": kinds, "groups": names_of, "added": added, "ended": ended}
        ((opened,),) = fetch(text, [params[name] for name in names])
        announce(opened)


def announce(opened: str | None) -> None:
    """Announce what `jobs_open` opened to waiting claims."""
    if opened:
        notifications.announce(json.loads(opened))


def _after_commit(act: partial[None]) -> None:
    if connection.in_atomic_block:
        transaction.on_commit(partial(_guarded, act), robust=True)
    else:
        _guarded(act)


def _guarded(act: partial[None]) -> None:
    """What changed is committed, whatever comes of this."""
    try:
        act()
    except outcomes.ERRORS as error:
        logger.warning("gates were not opened, which the next sweep does: %s", error)


def settle(kind: str | None = None, *, seconds: float = MOVED_FOR) -> None:
    """Move the jobs of this kind (None: of all) to the lane where its limits want them, for so many seconds at most.

    None of a kind with limits is claimed before all are there. Then all its gates are open.
    """
    until = monotonic() + seconds
    for row in run("unsettled", kind=kind):
        statement = "gate_in" if row["limited"] else "gate_out"
        while run(statement, kind=row["kind"], most=BATCH):
            if monotonic() >= until:
                return
        if row["limited"]:
            open_all(row["kind"], row["limited_no"])
        else:
            notifications.announce({row["kind"]: 1})


def open_all(kind: str, limited_no: int) -> None:
    """Open all gates of this kind, after its limits were changed, or its jobs have come into their lane."""
    with transaction.atomic():
        if run("gate_settled", kind=kind, limited_no=limited_no):
            run("gates_opened", kind=kind)
            notifications.announce({kind: BATCH})


def shut_until(gate: int) -> datetime | None:
    """Until when this gate is shut by its rate or a throttle. None: it is not."""
    until: datetime | None = run("shut_until", gate=gate)[0]["until"]
    return until


def repair_gates() -> None:
    """Do what a process was stopped before: move jobs to their lane, and open the gates that could be open."""
    settle(seconds=MOVED_BY_SWEEP)
    rows = run("missed_gates")
    _open([(row["kind"], row["group"], True, True) for row in rows])


def prune_gates() -> None:
    """Delete gates of groups that have no jobs to count and no starts to remember."""
    while run("prune_gates", most=PRUNED):
        pass


def limits_changed(kinds: Iterable[str]) -> None:
    """Let changed limits of these kinds take effect, once the transaction has committed."""
    for kind in kinds:
        _after_commit(partial(_take_effect, kind))


def _take_effect(kind: str) -> None:
    settle(kind)
    for row in run("limited_kind", kind=kind):
        open_all(kind, row["limited_no"])
