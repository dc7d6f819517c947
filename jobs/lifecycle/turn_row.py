"""What became of one turn of a bot, as the function `jobs_turns` returns it."""

from typing import NamedTuple


class TurnRow(NamedTuple):
    """The result of one turn: a row of `jobs_turns`, in its order.

    `jobs`: the claimed jobs, a JSON list, and `n` their number; `kinds`: those of the claim (None: any); `room`: the
    bot could have got jobs, if there were any for it. `changes`: leases that were renewed or ended without success,
    `refused`: refused reports, both JSON. Without a job: `opens_in` is in how many seconds a gate opens by itself, and
    `shut` whether all that it asked for is shut until then. `opened`: gates that were opened, by all turns of the call.
    """

    turn: int
    outcome: str
    bot: int
    name: str
    instance: str
    takes: str | None
    kinds: list[str] | None
    room: bool
    paused: bool
    restart: bool
    grade: bool
    jobs: str
    n: int
    changes: str | None
    refused: str | None
    found_all: int | None
    wanted_all: int | None
    took: float | None
    at: str | None
    last_priority: int | None
    last_run_at: str | None
    last_id: int | None
    opened: str | None
    opens_in: float | None
    shut: bool | None
