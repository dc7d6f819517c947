"""Twenty thousand operations under the quick faults, with the seed of the date; `make torture` does it at length.

A machine that is slow does as many as it can in the time that a test has.
"""

from datetime import UTC, datetime

import pytest

from tests.restoring import binaries, dumped
from tests.torture.faults import FAULTS
from tests.torture.prepare import populate
from tests.torture.storm import Plan, receiver, report, run
from tests.torture.world import world

OPERATIONS, LEAST = 20_000, 2_000
#: Few calls with much in each, so that it is over soon on a busy machine, too.
PLAN = Plan(OPERATIONS, seconds=90, bots=4, most=600, pending=5000, pause=2.0)


@pytest.mark.timeout(170)
@pytest.mark.django_db(transaction=True)
def test_no_promise_is_broken_in_a_storm(direct: None) -> None:
    faults = [fault for fault in FAULTS.values() if fault.quick]
    with receiver() as address, world(settings="tests.settings", disk=False, binaries=binaries()) as there:
        fleet = populate(address)
        with dumped() as dump:
            there.load(dump, fleet)
        result = run(there, faults, f"{datetime.now(UTC):%Y-%m-%d}", PLAN)
    assert not result.violations, report(result)
    assert result.operations >= (OPERATIONS if result.seconds < PLAN.seconds else LEAST)
