"""A connection to another database begins a new epoch, once, and holds alerts back."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection, transaction

from jobs.api.runners import in_thread
from jobs.attempts import LAST_EPOCH
from jobs.models import Job
from jobs.sweep.run import sweep
from jobs.turns import waiting
from jobsite.dev import embedded_server
from jobsite.lib import site
from jobsite.models import Site
from tests.cast import database_url, enqueue_one
from tests.race import PATIENCE, racers
from tests.restoring import restored, short_gap  # noqa: F401
from tests.settings import UNSAFE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("short_gap")]


@pytest.fixture(autouse=True)
def known(db: None) -> None:
    """The site knows its database."""
    site.compare_now()


def sequences() -> dict[str, tuple[str, int]]:
    """Type and last id of each sequence."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sequencename, data_type::text, COALESCE(last_value, 0) FROM pg_sequences")
        return {name: (kind, last) for name, kind, last in cursor.fetchall()}


def test_the_first_connection_fills_in_which_database_it_is() -> None:
    Site.objects.all().delete()
    assert site.compare_now() is None
    mine = Site.objects.get()
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        (cluster,) = cursor.fetchone()
    assert (mine.epoch, mine.began_at, mine.cluster, mine.timeline) == (0, None, cluster, 1)
    assert mine.database


def test_the_same_database_is_no_restore() -> None:
    before = Site.objects.values().get()
    assert site.compare_now() is None
    assert Site.objects.values().get() == before


@pytest.mark.parametrize(
    ("field", "other"), [("cluster", 7), ("timeline", 4_000_000_000), ("database", "1.1"), ("timeline", 7)]
)
def test_another_database_begins_an_epoch_and_holds_alerts_back(
    field: str, other: Any, caplog: pytest.LogCaptureFixture
) -> None:
    was = Site.objects.values().get()
    Site.objects.update(**{field: other})
    begun = site.compare_now()
    now = Site.objects.values().get()
    assert begun is not None
    assert (begun.number, now["epoch"], now["began_at"]) == (1, 1, begun.began_at)
    assert now[field] == was[field]
    assert now["alerts_held_since"] is not None
    assert f"{field} {other} → {was[field]}" in begun.why
    assert any(f"epoch 1 begins: {begun.why}" in record.getMessage() for record in caplog.records)
    assert site.compare_now() is None


@pytest.mark.parametrize(("field", "unknown"), [("cluster", None), ("timeline", None), ("database", "")])
def test_what_is_not_known_is_filled_in_and_not_compared(field: str, unknown: Any) -> None:
    was = Site.objects.values().get()
    Site.objects.update(**{field: unknown})
    assert site.compare_now() is None
    assert Site.objects.values().get() == was


def test_two_processes_at_once_begin_one_epoch(transactional_db: None) -> None:
    site.compare_now()
    both = threading.Barrier(2)

    def connects() -> None:
        connection.ensure_connection()
        both.wait(PATIENCE)

    with racers() as run:
        # A connection that is made later would compare, too, and wait before anybody has it.
        for one in [run.go(connects) for _ in range(2)]:
            one.result(PATIENCE)
        Site.objects.update(timeline=7)
        with transaction.atomic():
            Site.objects.select_for_update().get()
            pair = [run.go_and_block(site.compare_now) for _ in range(2)]
        begun = [one.result(PATIENCE) for one in pair]
    assert [one.number for one in begun if one is not None] == [1]
    assert Site.objects.get().epoch == 1


def test_a_new_connection_compares_before_anybody_has_it(transactional_db: None) -> None:
    site.compare_now()
    Site.objects.update(timeline=7)
    connection.close()
    connection.close_pool()
    assert Site.objects.get().epoch == 1


def test_each_sweep_compares_and_a_dry_run_does_not() -> None:
    Site.objects.update(timeline=7)
    sweep(dry_run=True)
    assert Site.objects.get().epoch == 0
    sweep()
    assert Site.objects.get().epoch == 1


@pytest.mark.usefixtures("direct")
def test_the_connection_that_listens_for_jobs_compares(transactional_db: None) -> None:
    site.compare_now()
    Site.objects.update(timeline=7)
    line = waiting.Waiters()
    waiter = line.enter(None)
    assert waiter is not None
    # It is woken when the connection listens.
    assert in_thread(line.wait(waiter, PATIENCE))
    line.leave(waiter, got_job=False)
    line.close()
    line.join()
    assert Site.objects.get().epoch == 1


def test_where_standbys_are_promoted_by_themselves_a_new_timeline_holds_nothing_back(settings: Any) -> None:
    settings.PROMOTION_HOLDS_ALERTS = False
    assert restored().number == 1
    assert site.state()[1] is None
    Site.objects.update(cluster=7)
    site.compare_now()
    assert site.state()[1] is not None


def test_a_declared_restore_begins_an_epoch_where_nothing_is_to_be_noticed() -> None:
    begun = site.declare()
    assert begun is not None and begun.number == 1
    assert site.state()[1] is not None


def test_alerts_are_held_back_since_the_first_restore_until_they_may_go() -> None:
    restored()
    since = site.state()[1]
    site.declare()
    assert since is not None and site.state()[1] == since
    assert site.send_alerts() == since
    assert site.state()[1] is None
    assert site.send_alerts() is None


def test_ids_go_on_far_beyond_those_of_the_lost_future(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert site.GAP_MIN >= 10**9
    # Two restores of one dump do not come to the same ids, and JavaScript can count them all.
    assert site.GAP_MAX >= 10**12
    assert LAST_EPOCH * site.GAP_MAX < 2**53


def test_every_sequence_of_ours_goes_on_and_no_other() -> None:
    last = enqueue_one()
    before = sequences()
    begun = restored()
    after = sequences()
    assert {"jobs_job_id_seq", "jobs_jobevent_id_seq", "bots_bot_id_seq", "alerts_incident_id_seq"} <= begun.ids.keys()
    assert begun.unmoved == []
    for name, (kind, was) in before.items():
        assert after[name][1] == (was + 1000 if kind == "bigint" else was), name
        assert begun.ids.get(name) == ((was, was + 1000) if kind == "bigint" else None), name
    assert enqueue_one().pk == last.pk + 1001
    assert Job.objects.count() == 2


# --- Roles that may not do everything -----------------------------------------------------------------------------


@pytest.fixture
def limited() -> Iterator[Callable[..., None]]:
    """Go on as a role that owns nothing, with these rights beside those on `jobsite_site`."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE jobsite_limited")
        cursor.execute("GRANT ALL ON jobsite_site TO jobsite_limited")

        def become(*grants: str) -> None:
            for grant in grants:
                cursor.execute(grant)
            cursor.execute("SET LOCAL ROLE jobsite_limited")

        yield become
        cursor.execute("RESET ROLE")


def test_a_role_that_may_not_move_ids_says_so(limited: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    Site.objects.update(timeline=7)
    limited("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO jobsite_limited")
    begun = site.compare_now()
    assert begun is not None
    assert begun.ids == {} and "jobs_job_id_seq" in begun.unmoved
    assert "run `manage.py after_restore` as their owner" in caplog.text


def test_a_role_that_may_not_see_the_control_file_compares_the_database(limited: Callable[..., None]) -> None:
    Site.objects.update(cluster=7, timeline=7)
    limited("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public")
    assert site.compare_now() is None
    Site.objects.update(database="1.1")
    begun = site.compare_now()
    assert begun is not None and "database" in begun.why
    assert Site.objects.get().cluster == 7


# --- A real standby -----------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Path]:
    """The directory of a server of its own. Not pytest's: the server's user must reach it."""
    with TemporaryDirectory() as directory:
        yield Path(directory)
        embedded_server.stop(Path(directory))


def started(directory: Path) -> str:
    """The URL of this server, which runs."""
    socket = embedded_server.socket_directory(directory)
    embedded_server.start_server(directory, socket, embedded_server.wheel_binaries(), UNSAFE)
    return f"postgres://{embedded_server.ROLE}@/{embedded_server.DATABASE}?host={quote(str(socket))}"


def test_a_standby_is_refused_and_its_promotion_begins_an_epoch(server: Path) -> None:
    table = [embedded_server.wheel_binaries() / "pg_dump", "--schema-only", "--table=jobsite_site", database_url()]
    schema = subprocess.run(table, capture_output=True, text=True, check=True).stdout
    with psycopg.connect(started(server), autocommit=True) as raw:
        raw.execute("".join(line for line in schema.splitlines(True) if not line.startswith(("\\", "--"))))
        raw.execute("SET search_path = public")
        assert site.compare(raw) is None
    embedded_server.stop(server)
    (server / "data" / "standby.signal").touch()
    with psycopg.connect(started(server), autocommit=True) as raw:
        with pytest.raises(site.WrongServer, match="needs the primary"):
            site.compare(raw)
        raw.execute("SELECT pg_promote()")
        begun = site.compare(raw)
        assert begun is not None and "timeline 1 → 2" in begun.why
        assert site.compare(raw) is None
