"""One outage is one incident and one notification, however many kinds it concerns."""

from datetime import timedelta

import pytest
from django.urls import reverse

from alerts.incidents import reconcile
from alerts.incidents.gathered import GATHERED_FROM
from alerts.models import Delivery, Incident
from alerts.states import GATHERED, Cause, Severity
from jobs.models import Job, JobKind
from tests.alerts.passing import look, minutes_pass, notes_of, sweep_and_look, the_one
from tests.cast import bot_named, enqueue_one, make_older, take_one
from tests.far_side import a_channel

pytestmark = pytest.mark.django_db

FEW, MANY = GATHERED_FROM - 1, 12


def waiting(first, last, minutes=90):
    """Jobs of these kinds wait for longer than they may, and no bot takes them."""
    for n in range(first, last):
        make_older(enqueue_one(kind=f"k{n:02}"), minutes)


def abouts():
    return sorted(Incident.objects.open().values_list("about", flat=True))


def test_an_outage_of_many_kinds_is_one_incident_and_one_notification(db, told, inside_allowed):
    a_channel("http://127.0.0.1:9/")
    waiting(0, MANY)
    assert (look().opened, look().opened) == (1, 0)
    incident = the_one()
    assert (incident.cause, incident.about, incident.kind) == (Cause.WAITING, GATHERED, "")
    assert incident.title == f"Jobs of {MANY} kinds wait too long: k00, k01, k02 and 9 more"
    assert incident.reason.startswith("k00: Job ")
    assert incident.reason.endswith(" And 7 more.")
    assert incident.kinds == [f"k{n:02}" for n in range(MANY)]
    assert told == [("waiting", "opened", 1, incident.title)]
    assert Delivery.objects.get().message["incident"]["kinds"] == incident.kinds


def test_a_few_kinds_have_incidents_of_their_own(db):
    waiting(0, FEW)
    assert look().opened == FEW
    assert abouts() == [f"k{n:02}" for n in range(FEW)]


def test_kinds_that_join_one_after_the_other_share_an_incident_too(db, told):
    for n in range(MANY):
        waiting(n, n + 1)
        look()
    assert abouts() == [GATHERED, *(f"k{n:02}" for n in range(FEW))]
    assert len(told) == FEW + 1
    minutes_pass(6)
    look()
    assert told[-1][1] == "worse"
    incident = Incident.objects.get(about=GATHERED)
    assert "Kinds joined: k05, k06, k07, k08, k09, k10, k11." in notes_of(incident)
    minutes_pass(6)
    look()
    assert len(told) == FEW + 2


def test_the_one_incident_says_which_kinds_are_meant_now_and_resolves_when_none_is(db, told):
    waiting(0, MANY)
    look()
    Job.objects.exclude(kind="k03").delete()
    look()
    incident = the_one()
    assert (incident.title, incident.kinds) == ("k03 jobs wait too long", ["k03"])
    Job.objects.all().delete()
    look()
    minutes_pass(3)
    look()
    assert the_one().resolved_at is not None
    assert [moment for _, moment, _, _ in told] == ["opened", "resolved"]


def test_the_most_urgent_kind_stands_first_and_makes_it_critical(db, told):
    waiting(0, MANY)
    waiting(MANY, MANY + 1, minutes=60 * 4)
    look()
    incident = the_one()
    assert (incident.severity, incident.kinds[0]) == (Severity.CRITICAL, f"k{MANY}")
    assert incident.reason.startswith(f"k{MANY}: ")


def test_a_channel_of_one_kind_is_notified_of_the_incident_that_has_it(db, inside_allowed):
    mine, other = (a_channel("http://127.0.0.1:9/", name=name, kinds=[name]) for name in ("k07", "elsewhere"))
    waiting(0, MANY)
    look()
    assert list(Delivery.objects.values_list("channel", flat=True)) == [mine.pk]
    assert other.enabled


def test_a_sweep_of_one_kind_opens_nothing_that_is_open_among_many(db):
    waiting(0, MANY)
    look()
    reconcile.reconcile(kind="k03")
    assert abouts() == [GATHERED]
    waiting(MANY, MANY + 1)
    reconcile.reconcile(kind=f"k{MANY}")
    assert abouts() == [GATHERED, f"k{MANY}"]


def test_bots_that_hang_on_jobs_of_many_kinds_are_one_incident(db, told):
    leases = [take_one(bot_named(f"bot {n}"), kind=f"k{n:02}") for n in range(MANY)]
    for lease in leases:
        make_older(lease, 3)
    sweep_and_look()
    incident = the_one()
    assert (incident.cause, incident.about, incident.bots.count()) == (Cause.STUCK, GATHERED, MANY)
    assert incident.title.startswith("Bots are stuck on jobs of 12 kinds: k00, ")
    assert len(told) == 1


def test_the_page_and_the_api_name_the_kinds(client, admin_client, olga_key):
    waiting(0, MANY)
    look()
    incident = the_one()
    page = admin_client.get(reverse("admin:alerts_incident_change", args=[incident.pk])).content.decode()
    assert reverse("admin:jobs_jobkind_change", args=["k07"]) in page
    assert "12 kinds" in admin_client.get(reverse("admin:alerts_incident_changelist")).content.decode()
    answer = client.get(f"/api/v1/incidents/{incident.pk}", headers={"authorization": f"Bearer {olga_key}"}).json()
    assert (answer["kinds"], answer["clear_since"]) == (incident.kinds, None)


def test_bots_whose_jobs_went_back_are_not_said_to_be_stuck(ada, bob):
    """The sweep expires their jobs, and they are not heard of: the incident has that, and not what was before."""
    JobKind.objects.update_or_create(name="sum", defaults={"heartbeat_within": timedelta(minutes=2)})
    first, second = take_one(ada), take_one(bob)
    make_older(first, 7)
    make_older(second, 3)
    sweep_and_look()
    incident = the_one(Cause.STUCK)
    assert incident.title == "bob is stuck on a sum job"
    assert incident.reason.startswith("1 of 2 unhealthy. 1 without the job they hung on. ada: silent for ")
    assert f"; job {first.id} expired at " in incident.bots.get(name="ada").reason
    make_older(second, 4)
    sweep_and_look()
    incident.refresh_from_db()
    assert incident.title == "2 bots are without the sum jobs they hung on: ada, bob"
    assert Job.objects.pending().count() == 2
