"""Lists and figures are read from a standby, with how far it is behind, and from the primary where there is none."""

import logging
import math
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client

from bots.models import Bot
from jobs.models import Job
from jobsite import database
from jobsite.lib import replica, source
from jobsite.lib.connections.base import DatabaseWrapper
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", source.REPLICA])

#: What may be read from a standby, by its address.
PAGES = {
    "jobs": "/admin/jobs/job/",
    "a search": "/admin/jobs/job/?q=sum",
    "an export": "/admin/jobs/job/export/?format=csv",
    "history": "/admin/jobs/jobevent/",
    "release patterns": "/admin/jobs/jobevent/patterns/",
    "release patterns as CSV": "/admin/jobs/jobevent/patterns/bots.csv",
    "kinds": "/admin/jobs/jobkind/",
    "errors": "/admin/jobs/errorgroup/",
    "audit log": "/admin/bots/auditentry/",
}
NOTE = "Read from a standby of the database"


class Watched:
    """The statements about jobs, bots and their history that went to each of both databases."""

    def __init__(self) -> None:
        self.statements: dict[str, list[str]] = {"default": [], source.REPLICA: []}

    def see(self, alias: str) -> Any:
        def seen(execute: Any, sql: str, *args: Any) -> Any:
            if any(table in sql for table in ("jobs_job", "bots_auditentry", "jobs_errorgroup")):
                self.statements[alias].append(sql)
            return execute(sql, *args)

        return connections[alias].execute_wrapper(seen)


def configured(**options: Any) -> dict[str, Any]:
    """The entry for a second way to the tests' database, that may only read."""
    own = {name: value for name, value in connection.settings_dict.items() if name != "OPTIONS"}
    given = dict(connection.settings_dict["OPTIONS"]) | {"options": "-c default_transaction_read_only=on"}
    pool = {"min_size": 0, "max_size": 4, "timeout": 2}
    return own | {"OPTIONS": given | {"pool": pool} | options, "TEST": own["TEST"] | {"MIRROR": "default"}}


@pytest.fixture(scope="module", autouse=True)
def known(django_db_setup: None) -> Iterator[None]:
    """The alias is known while these tests run: Django forbids connections to others."""
    connections.settings[source.REPLICA] = configured()
    yield
    del connections.settings[source.REPLICA]


@pytest.fixture(autouse=True)
def no_standby(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none, unless a test asks for it."""
    monkeypatch.setattr(replica, "_alone_until", math.inf)


@pytest.fixture
def standby(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`REPLICA_URL` leads to the same server; with a parameter of the test, elsewhere."""
    alias = source.REPLICA
    connections.settings[alias] = configured(**getattr(request, "param", {}))
    monkeypatch.setattr(replica, "_alone_until", 0.0)
    del connections[alias]
    yield alias
    connections[alias].close()
    if pool := DatabaseWrapper.pools.pop(alias, None):
        pool.close()


def seen_of(pages: dict[str, str], client: Client) -> dict[str, tuple[int, int]]:
    """How many statements each page sent to the primary and to the standby."""
    found = {}
    for name, address in pages.items():
        watched = Watched()
        with ExitStack() as stack:
            for alias in watched.statements:
                stack.enter_context(watched.see(alias))
            answer = client.get(address)
            assert answer.status_code == 200, name
            _ = b"".join(answer.streaming_content) if answer.streaming else answer.content
        found[name] = (len(watched.statements["default"]), len(watched.statements[source.REPLICA]))
    return found


@pytest.mark.usefixtures("standby")
def test_lists_and_figures_are_read_from_the_standby(admin_client: Client, ada: Bot) -> None:
    enqueue_one()
    take_one(ada).fail(retry=False)
    found = seen_of(PAGES, admin_client)
    assert {name: counts for name, counts in found.items() if counts[0] or not counts[1]} == {}


@pytest.mark.usefixtures("standby")
def test_a_page_says_that_it_is_from_a_standby(admin_client: Client) -> None:
    assert f"{NOTE}." in admin_client.get(PAGES["history"]).content.decode()
    assert NOTE not in admin_client.get("/admin/").content.decode()


@pytest.mark.usefixtures("standby")
def test_a_page_says_how_far_behind_the_standby_is(monkeypatch: pytest.MonkeyPatch, admin_client: Client) -> None:
    monkeypatch.setattr(replica, "_behind", lambda: 3.4)
    assert f"{NOTE}, 3 s behind." in admin_client.get(PAGES["jobs"]).content.decode()


def test_without_a_standby_the_primary_is_read(admin_client: Client) -> None:
    enqueue_one()
    page = admin_client.get(PAGES["jobs"]).content.decode()
    assert "sum" in page and NOTE not in page


AWAY = {"host": "127.0.0.1", "port": 1, "connect_timeout": 1}


@pytest.mark.parametrize("standby", [AWAY], indirect=True)
@pytest.mark.usefixtures("standby")
def test_a_standby_that_is_away_is_left_alone(admin_client: Client, caplog: pytest.LogCaptureFixture) -> None:
    enqueue_one()
    with caplog.at_level(logging.WARNING, logger="jobsite.replica"):
        first, second = (admin_client.get(PAGES["jobs"]) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert "sum" in first.content.decode() and NOTE not in first.content.decode()
    lines = [record.getMessage() for record in caplog.records if record.name == "jobsite.replica"]
    # The second page did not ask it again.
    assert len(lines) == 1 and "the standby does not answer" in lines[0]


@pytest.mark.parametrize(("behind", "why"), [(timedelta(seconds=61), "is 61 s behind"), (None, "replayed nothing")])
@pytest.mark.usefixtures("standby")
def test_a_standby_that_is_too_far_behind_is_left_alone(
    behind: timedelta | None, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime.now(UTC)
    rows = {
        "replica_primary": {"written": "0/1", "at": now},
        "replica_standby": {"complete": False, "at": behind and now - behind},
    }
    monkeypatch.setattr(replica, "CATCH_UP", 0.0)
    monkeypatch.setattr(replica.SQL, "rows", lambda name, **params: [rows[name]])
    with caplog.at_level(logging.WARNING, logger="jobsite.replica"):
        assert replica.read(lambda given: given) is None
    assert why in caplog.text


@pytest.mark.usefixtures("standby")
def test_a_page_waits_for_what_was_committed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    own, asked = replica.SQL.rows, []

    def rows(name: str, **params: Any) -> Any:
        asked.append(name)
        found = own(name, **params)
        return [found[0] | {"complete": asked.count("replica_standby") == 3}] if "until" in params else found

    monkeypatch.setattr(replica.SQL, "rows", rows)
    monkeypatch.setattr(replica, "CATCH_UP", 60.0)
    assert replica.read(lambda behind: behind) == 0.0
    assert asked == ["replica_primary", *["replica_standby"] * 3]


@pytest.mark.usefixtures("standby")
def test_what_is_done_goes_to_the_primary(admin_client: Client, ada: Bot, olga: User) -> None:
    job = enqueue_one()
    watched = Watched()
    with watched.see(source.REPLICA):
        take_one(ada)
        data = {"action": "release_jobs", "_selected_action": [job.pk], "confirmed": "yes", "reason": "it hangs"}
        answer = admin_client.post(PAGES["jobs"], data)
    assert answer.status_code == 302
    assert watched.statements[source.REPLICA] == []
    assert Job.objects.get(pk=job.pk).status == "pending"


@pytest.mark.usefixtures("standby")
def test_a_job_that_was_read_there_is_locked_and_saved_on_the_primary() -> None:
    job = enqueue_one()
    there = replica.read(lambda _: Job.objects.get(pk=job.pk))
    there.priority = 7
    there.save(update_fields=["priority"])
    assert Job.objects.get(pk=job.pk).priority == 7


def test_replica_url_makes_a_second_entry() -> None:
    pool = {"min_size": 1, "max_size": 16, "timeout": 5}
    primary = {"ENGINE": "django.db.backends.postgresql", "NAME": "jobsite"}
    assert list(database.with_replica(dict(primary), "", prepare=None, pool=pool)) == ["default"]
    both = database.with_replica(dict(primary), "postgres://reader@standby/jobsite", prepare=None, pool=pool)
    assert both[source.REPLICA]["HOST"] == "standby"
    assert both[source.REPLICA]["OPTIONS"]["pool"]["timeout"] == database.STANDBY_ANSWERS
