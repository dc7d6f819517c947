"""An upgrade keeps which process of a bot is current, who must restart, and the processes that share a bot."""

import pytest
from django.db import connection

from tests.bots.test_audit_migration import migrate
from tests.jobsite.empty_database import empty_database

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("bots", "0012_kinds_checked"), ("jobs", "0023_max_pending")
AFTER = ("bots", "0016_restart_of_instances"), ("jobs", "0031_instances")

HELD = """
    INSERT INTO jobs_job (kind_id, payload, status, attempt, claimed_by_id, instance, claimed_at, deadline_at)
    SELECT 'sum', '{}', 'processing', 1, id, %s, now(), now() FROM bots_bot WHERE name = %s
"""


def test_processes_become_instances_and_go_back() -> None:
    with empty_database():
        old = migrate(*BEFORE).get_model("bots", "Bot").objects
        ada = old.create(name="ada", instance="alone-1", version="2")
        old.create(name="bob", restart_requested_at="2026-11-27T08:00:00Z")
        old.create(name="carl")
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO jobs_jobkind (name) VALUES ('sum')")
            for name, instance in (("ada", "alone-0"), ("carl", "shared-1"), ("carl", "shared-1"), ("carl", "")):
                cursor.execute(HELD, [instance, name])
        new = migrate(*AFTER).get_model("bots", "Instance").objects.order_by("bot__name", "name")
        rows = list(new.values_list("bot__name", "name", "identity", "version", "restart_requested_at__hour"))
        assert rows == [
            ("ada", "alone-1", "", "2", None), ("bob", "", "", "", 8), ("carl", "shared-1", "shared-1", "", None),
        ]  # fmt: skip
        back = migrate(*BEFORE).get_model("bots", "Bot").objects.order_by("name")
        assert [bot.restart_requested_at is not None for bot in back] == [False, True, False]
        assert back.get(pk=ada.pk).instance == "alone-1"
