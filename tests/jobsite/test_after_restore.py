"""`manage.py after_restore`: a restore that nothing shows is declared, and what was held then is released."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bots.models import Bot
from bots.states import HealthStatus
from jobs import lifecycle
from jobs.attempts import EPOCH
from jobs.errors import LeaseLost
from jobs.models import JobEvent
from jobs.states import Actor, JobStatus, Verb
from jobsite.lib import site
from jobsite.models import Site
from tests.cast import Lease, enqueue_one, make_older, take_one
from tests.far_side import a_channel, an_incident
from tests.restoring import dumped, own_database, read_in, short_gap  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("short_gap")]


def after_restore(*options: str) -> str:
    out = StringIO()
    call_command("after_restore", *options, stdout=out)
    return out.getvalue()


def test_it_begins_an_epoch_moves_ids_on_and_holds_alerts_back() -> None:
    last = enqueue_one().pk
    printed = after_restore()
    assert Site.objects.get().epoch == 1
    assert "Epoch 1 begins." in printed
    assert f"jobs_job_id_seq: {last} → {last + 1000}\n" in printed
    assert enqueue_one().pk == last + 1001
    assert "Alerts: held back since" in printed
    assert site.state()[1] is not None


def test_a_dry_run_changes_nothing(ada: Bot) -> None:
    lease = take_one(ada)
    before = Site.objects.values().get()
    printed = after_restore("--dry-run")
    assert "Epoch 1 would begin" in printed
    assert "Jobs that bots hold, which would be released: 1." in printed
    assert "Alerts: would be held back." in printed
    assert Site.objects.values().get() == before
    assert lease.job.status == JobStatus.PROCESSING
    assert enqueue_one().pk == lease.id + 1


def test_what_bots_held_is_released_and_does_not_count(ada: Bot, bob: Bot) -> None:
    leases = [take_one(ada), take_one(ada), take_one(bob, start=False)]
    for lease in leases:
        # Their bots have been silent for as long as the dump is old.
        make_older(lease, 600)
    lifecycle.regrade(Bot.objects.all())
    assert "Jobs that bots held, released: 3." in after_restore()
    for lease in leases:
        assert (lease.job.status, lease.job.uncounted) == (JobStatus.PENDING, 1)
        event = JobEvent.objects.get(job=lease.id)
        assert (event.verb, event.actor, event.by) == (Verb.RELEASE, Actor.OPERATOR, "after_restore")
    assert set(Bot.objects.values_list("health_status", flat=True)) == {HealthStatus.NORMAL}
    assert not Bot.objects.quarantined().exists()


def test_a_bot_that_still_worked_on_one_is_refused_and_its_result_kept(ada: Bot, bob: Bot) -> None:
    lease = take_one(ada)
    after_restore()
    error = lease.complete(7).rejected[lease.id]
    assert isinstance(error, LeaseLost)
    assert error.extra["ended_by"] == "operator after_restore"
    assert JobEvent.objects.get(verb=Verb.LATE).detail["result"] == 7
    (again,) = lifecycle.claim(bob)
    assert (again.id, again.attempt) == (lease.id, EPOCH + 2)


def test_after_a_second_run_there_is_another_epoch_and_nothing_is_lost(ada: Bot) -> None:
    take_one(ada)
    after_restore()
    (claimed,) = lifecycle.claim(ada)
    lease = Lease(ada, claimed.id, claimed.attempt)
    since = site.state()[1]
    assert "Jobs that bots held, released: 1." in after_restore()
    assert site.state() == (2, since)
    assert isinstance(lease.complete(1).rejected[lease.id], LeaseLost)
    assert JobEvent.objects.get(verb=Verb.LATE).attempt == lease.attempt
    (again,) = lifecycle.claim(ada)
    assert again.attempt == 2 * EPOCH + 3


def test_alerts_are_sent_again_when_told_and_only_then() -> None:
    after_restore()
    assert "Alerts are held back since" in after_restore("--send-alerts", "--dry-run")
    assert site.state()[1] is not None
    assert "Alerts are sent again. They were held back since" in after_restore("--send-alerts")
    assert site.state() == (1, None)
    assert after_restore("--send-alerts") == "Alerts are not held back.\n"


def test_it_says_how_many_alerts_wait() -> None:
    from alerts.delivery import outbox
    from alerts.states import Moment

    a_channel("http://127.0.0.1:1/")
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    assert "after a restore or a promotion: 1 waiting. If this is production" in after_restore()


def test_a_role_that_may_not_move_ids_is_told_whose_they_are() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE jobsite_limited")
        cursor.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO jobsite_limited")
        cursor.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO jobsite_limited")
        cursor.execute("SET LOCAL ROLE jobsite_limited")
    with pytest.raises(CommandError, match="jobs_job_id_seq.*Run it again as the owner"):
        after_restore()
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


@pytest.mark.usefixtures("direct")
@pytest.mark.django_db(transaction=True)
def test_a_dump_read_over_the_same_rows_is_not_noticed_and_is_declared(ada: Bot) -> None:
    with own_database():
        enqueue_one()
        with dumped() as dump:
            old = take_one(ada)
            with connection.cursor() as cursor:
                tables = connection.introspection.table_names()
                cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
            read_in(dump, "--data-only", "--disable-triggers")
        assert site.compare_now() is None
        after_restore()
        new = take_one(ada)
        assert (new.id, new.attempt) == (old.id + 1000, EPOCH + 1)
        assert isinstance(old.complete(1).rejected[old.id], LeaseLost)
        assert new.complete(1).accepted == [new.id]


@pytest.mark.usefixtures("direct")
@pytest.mark.django_db(transaction=True)
def test_a_dump_that_replaces_the_tables_of_the_same_database_is_noticed(ada: Bot) -> None:
    with own_database():
        with dumped() as dump:
            read_in(dump, "--clean")
        connection.close()
        connection.close_pool()
        assert site.state()[0] == 1
