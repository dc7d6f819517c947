"""An upgrade keeps what people had: the admin's own log, names of keys, and who may see payloads."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.jobsite.empty_database import empty_database

pytestmark = pytest.mark.django_db(transaction=True)


def migrate(*to: tuple[str, str]) -> Any:
    """Bring our apps to these migrations, and all others to their last. Returns the models as they were then."""
    executor = MigrationExecutor(connection)
    others = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] not in ("alerts", "bots", "jobs")]
    executor.migrate([*others, *to])
    return MigrationExecutor(connection).loader.project_state([*others, *to]).apps


def test_what_the_admins_log_and_the_keys_had_is_kept() -> None:
    with empty_database():
        old = migrate(("bots", "0008_labels"), ("jobs", "0021_labels"))
        olga, nora = (User.objects.create(username=name) for name in ("olga", "nora"))
        group = Group.objects.create(name="readers")
        types, model = old.get_model("contenttypes", "ContentType").objects, ("jobs", "job")
        job_type = types.get_or_create(app_label=model[0], model=model[1])[0]
        bot_type = types.get_or_create(app_label="bots", model="apikey")[0]
        view = Permission.objects.create(content_type_id=job_type.pk, codename="view_job", name="Can view job")
        olga.user_permissions.add(view)
        group.permissions.add(view)
        old.get_model("bots", "ApiKey").objects.create(user_id=olga.pk, prefix="jsk_", digest=b"x")
        log = old.get_model("admin", "LogEntry").objects
        for flag in (1, 2, 3):
            about = {"content_type_id": bot_type.pk, "object_id": "7", "object_repr": "a key"}
            log.create(user_id=olga.pk, action_flag=flag, change_message="why", **about)
        new = migrate(("bots", "0010_keys_and_roles"), ("jobs", "0025_audit_and_payloads"))
        entries = new.get_model("bots", "AuditEntry").objects.order_by("id")
        assert list(entries.values_list("verb", "by", "via", "object_type", "object_id", "object_name", "reason")) == [
            (verb, "olga", "console", "key", "7", "a key", "why") for verb in ("create", "change", "delete")
        ]
        assert log.count() == 3
        key = new.get_model("bots", "ApiKey").objects.get()
        assert (key.username, key.kinds, key.verbs, key.read_only, key.expires_at) == ("olga", [], [], False, None)
        holders = {person.username for person in User.objects.filter(user_permissions__codename="view_payload")}
        assert (holders, nora.username) == ({"olga"}, "nora")
        assert group.permissions.filter(codename="view_payload").exists()
        back = migrate(("bots", "0008_labels"), ("jobs", "0021_labels"))
        assert back.get_model("bots", "ApiKey").objects.count() == 1
