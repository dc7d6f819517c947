"""An upgrade keeps who is in quarantine, as a quarantine of its instances, and when it was cleared last."""

import pytest

from tests.bots.test_audit_migration import migrate
from tests.jobsite.empty_database import empty_database

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("bots", "0016_restart_of_instances"), ("jobs", "0031_instances")
AFTER = ("bots", "0018_quarantine_of_instances"), ("jobs", "0039_limits_indexes")
AT, BEFORE_THAT = "2026-11-27T08:00:00Z", "2026-11-27T07:00:00Z"


def test_a_quarantine_becomes_that_of_the_bots_instances_which_are_probed_at_once_and_goes_back() -> None:
    with empty_database():
        old = migrate(*BEFORE)
        bots, instances = old.get_model("bots", "Bot").objects, old.get_model("bots", "Instance").objects
        ada = bots.create(name="ada", quarantined_at=AT, quarantine_reason="it hangs", cleared_at=BEFORE_THAT)
        bob = bots.create(name="bob", quarantined_at=AT, quarantine_reason="it hangs")
        carl = bots.create(name="carl", cleared_at=BEFORE_THAT)
        for name in ("pod-1", "pod-2"):
            instances.create(bot=ada, name=name, identity=name)
        # Bob's one process has gone.
        instances.create(bot=bob, name="", ended_at=AT)
        instances.create(bot=carl, name="")
        new = migrate(*AFTER).get_model("bots", "Instance").objects.order_by("bot__name", "name")
        columns = ("bot__name", "name", "quarantined_at__hour", "quarantine_reason", "cleared_at__hour", "ended_at")
        assert list(new.values_list(*columns)) == [
            ("ada", "pod-1", 8, "it hangs", 7, None), ("ada", "pod-2", 8, "it hangs", 7, None),
            ("bob", "", 8, "it hangs", None, None), ("carl", "", None, "", 7, None),
        ]  # fmt: skip
        assert {row.probe_at is not None for row in new if row.quarantined_at} == {True}
        back = migrate(*BEFORE).get_model("bots", "Bot").objects.order_by("name")
        rows = back.values_list("name", "quarantined_at__hour", "quarantine_reason", "cleared_at__hour")
        assert list(rows) == [("ada", 8, "it hangs", 7), ("bob", 8, "it hangs", None), ("carl", None, "", 7)]
