"""Twenty thousand operations under the quick faults, with the seed of the date; `make torture` does it at length."""

from datetime import UTC, datetime

import pytest

from tests.torture.faults import FAULTS
from tests.torture.storm import Plan, receiver, report, run
from tests.torture.world import world

OPERATIONS = 20_000
#: Few calls with much in each, so that it is over soon on a busy machine, too.
PLAN = Plan(OPERATIONS, seconds=60, bots=4, most=300, pending=4000)


@pytest.mark.timeout(170)
def test_no_promise_is_broken_in_a_storm() -> None:
    faults = [fault for fault in FAULTS.values() if fault.quick]
    with receiver() as address, world(settings="tests.settings", disk=False) as there:
        there.prepare(address)
        result = run(there, faults, f"{datetime.now(UTC):%Y-%m-%d}", PLAN)
    assert not result.violations, report(result)
    assert result.operations >= OPERATIONS
