"""The grants of `docs/operations.md`, with real roles: the web's role does all its work, and changes no audit entry."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import ProgrammingError, connection, transaction
from django.test import Client

from bots import roster
from bots.audit import Via, Who
from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.sweep import run
from tests.cast import bot_named, enqueue_one, take_one
from tests.docs.reading import text_of

pytestmark = pytest.mark.django_db(transaction=True)

WEB = "jobs_web"


def ask(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def granted(transactional_db: None) -> Iterator[None]:
    """The role of the page's SQL in this database. Roles are of the whole server, so it goes afterwards."""
    page = text_of("docs/operations.md").split("### A database role that cannot change it")[1]
    superuser, owner = re.findall(r"```sql\n(.*?)```", page, re.S)[:2]
    drop = (
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{WEB}') THEN DROP OWNED BY {WEB}; END IF; END $$"
    )
    name = connection.settings_dict["NAME"]
    ask(drop)
    ask(f"DROP ROLE IF EXISTS {WEB}")
    ask(superuser.replace("DATABASE jobsite", f'DATABASE "{name}"'))
    ask(owner)
    yield
    ask(drop)
    ask(f"DROP ROLE {WEB}")


@contextmanager
def as_web() -> Iterator[None]:
    """All that is asked is asked as that role."""
    ask(f"SET SESSION AUTHORIZATION {WEB}")
    try:
        yield
    finally:
        ask("RESET SESSION AUTHORIZATION")
        # A connection that went back to the pool has the role still.
        connection.close()
        connection.close_pool()


def test_the_webs_role_does_the_work_of_the_site(granted: None, client: Client, admin_user: User) -> None:
    with as_web():
        bot = bot_named("carl")
        lease = take_one(bot)
        lifecycle.release([lease.id], by=By.operator(Who("olga", Via.API)))
        enqueue_one("mail")
        roster.pause(Bot.objects.all(), by=Who("olga", Via.CONSOLE))
        run.sweep()
        assert AuditEntry.objects.filter(verb__in=["release", "pause"]).count() == 2
        client.force_login(admin_user)
        for page in ("/admin/", "/admin/jobs/job/", "/admin/bots/auditentry/", "/readyz"):
            assert client.get(page).status_code == 200, page


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE bots_auditentry SET by = 'vera'",
        "DELETE FROM bots_auditentry",
        "TRUNCATE bots_auditentry",
        "DROP TABLE bots_auditentry",
        "ALTER TABLE bots_auditentry DISABLE TRIGGER ALL",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('bots', '0099', now())",
        "GRANT ALL ON bots_auditentry TO PUBLIC",
    ],
)
def test_the_webs_role_cannot_change_what_is_recorded(granted: None, sql: str) -> None:
    bot_named("carl")
    entries = list(AuditEntry.objects.values())
    with as_web():
        # PostgreSQL answers a grant of what one does not have with a warning.
        if sql.startswith("GRANT"):
            ask(sql)
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                ask("DELETE FROM bots_auditentry")
        else:
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction.atomic():
                ask(sql)
    assert list(AuditEntry.objects.values()) == entries
