"""Bots that are stuck: one incident for each kind of job, however many bots and sweeps there are."""

import re

import pytest

from alerts.models import Incident, IncidentBot
from alerts.states import Cause, Severity
from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job, JobKind
from tests.alerts.passing import look, minutes_pass, notes_of, sweep_and_look, the_one
from tests.cast import bot_named, make_older, put_in_quarantine, take_one

pytestmark = pytest.mark.django_db


def in_it(incident):
    return list(incident.bots.filter(until=None).values_list("name", flat=True))


def silent(bot, minutes=3, **fields):
    """A new job that the bot holds, and has not been heard of for so long."""
    lease = take_one(bot, **fields)
    make_older(lease, minutes)
    return lease


def test_a_calm_house_has_no_incident(ada, held_by, told):
    held_by(ada)
    assert sweep_and_look().opened == 0
    assert (Incident.objects.count(), told) == (0, [])


def test_a_stuck_bot_opens_an_incident_about_the_kind_of_its_job(ada, told):
    lease = silent(ada)
    assert sweep_and_look().opened == 1
    incident = the_one()
    assert (incident.cause, incident.about, incident.kind) == (Cause.STUCK, "sum", "sum")
    assert (incident.severity, incident.state, incident.status) == (Severity.WARNING, 1, "open")
    assert incident.title == "ada is stuck on a sum job"
    assert re.fullmatch(rf"ada: silent for 3 m( \d+ s)? on sum job {lease.id}, limit 2 m", incident.reason)
    row = incident.bots.get()
    assert (row.bot, row.name, row.job_id) == (ada, "ada", lease.id)
    assert re.fullmatch(rf"silent for 3 m( \d+ s)? on sum job {lease.id}, limit 2 m", row.reason)
    assert notes_of(incident) == [f"Opened: {incident.reason}"]
    assert told == [("stuck", "opened", 1, incident.title)]


def test_however_many_sweeps_see_it_it_is_one_incident_and_told_once(ada, told):
    silent(ada)
    assert [sweep_and_look().opened for _ in range(4)] == [1, 0, 0, 0]
    assert the_one().state == 1
    assert len(told) == 1
    assert len(notes_of(the_one())) == 1


def test_fifty_bots_of_one_kind_are_one_incident_with_fifty_rows_and_one_message(db, told):
    for n in range(50):
        silent(bot_named(f"bot {n:02}"))
    sweep_and_look()
    incident = the_one()
    assert incident.bots.count() == 50
    assert incident.title == "50 bots are stuck on sum jobs: bot 00, bot 01, bot 02 and 47 more"
    assert re.match(r"0 of 50 unhealthy\. bot 00: silent for 3 m( \d+ s)? on sum job ", incident.reason)
    assert incident.reason.endswith("; and 45 more")
    assert [moment for _, moment, _, _ in told] == ["opened"]


def test_two_kinds_are_two_incidents(ada, bob, told):
    silent(ada)
    silent(bob, kind="divide")
    assert sweep_and_look().opened == 2
    assert set(Incident.objects.values_list("about", flat=True)) == {"sum", "divide"}


def test_an_unhealthy_bot_makes_it_critical_once(ada, told):
    lease = silent(ada)
    JobKind.objects.update(when_silent="flag")
    sweep_and_look()
    make_older(lease, 4)
    sweep_and_look()
    sweep_and_look()
    incident = the_one()
    assert (incident.severity, incident.state) == (Severity.CRITICAL, 2)
    assert [moment for _, moment, _, _ in told] == ["opened", "worse"]
    assert [note for note in notes_of(incident) if note.startswith("From warning to critical: ")]


def test_severity_does_not_fall_while_it_lasts(ada, bob):
    JobKind.objects.update_or_create(name="sum", defaults={"when_silent": "flag"})
    worst = silent(ada, 7)
    silent(bob)
    sweep_and_look()
    worst.heartbeat()
    sweep_and_look()
    assert the_one().severity == Severity.CRITICAL


def test_a_job_that_the_sweep_gave_back_is_still_known_as_the_bots(ada, told):
    lease = silent(ada, 7)
    sweep_and_look()
    ada.refresh_from_db()
    assert (ada.stuck_job_id, ada.health_status) == (None, "unhealthy")
    incident = the_one()
    assert (incident.about, incident.severity) == ("sum", Severity.CRITICAL)
    assert incident.bots.get().job_id == lease.id
    assert f"The sweep expired job {lease.id}." in notes_of(incident)


def test_bots_that_join_make_it_worse_and_are_told_together(ada, bob, told):
    silent(ada)
    sweep_and_look()
    minutes_pass(2)
    carl = bot_named("carl")
    silent(bob)
    silent(carl)
    sweep_and_look()
    sweep_and_look()
    incident = the_one()
    assert incident.state == 2
    assert [(moment, title) for _, moment, _, title in told] == [
        ("opened", "ada is stuck on a sum job"),
        ("worse", "3 bots are stuck on sum jobs: ada, bob, carl"),
    ]
    assert "Joined: bob, carl." in notes_of(incident)


def test_bots_that_join_soon_after_a_message_are_told_a_little_later(ada, bob, told):
    silent(ada)
    sweep_and_look()
    silent(bob)
    sweep_and_look()
    assert (in_it(the_one()), len(told)) == (["ada", "bob"], 1)
    minutes_pass(1)
    look()
    look()
    assert [moment for _, moment, _, _ in told] == ["opened", "worse"]


def test_it_resolves_by_itself_when_the_cause_has_been_gone_for_a_while_and_says_so_once(ada, told):
    lease = silent(ada)
    sweep_and_look()
    lease.heartbeat()
    assert sweep_and_look().resolved == 0
    assert the_one().clear_since is not None
    minutes_pass(3)
    assert look().resolved == 1
    assert look().resolved == 0
    incident = the_one()
    assert incident.status == "resolved"
    assert (incident.state, incident.clear_since) == (2, None)
    assert incident.bots.get().until is not None
    assert [moment for _, moment, _, _ in told] == ["opened", "resolved"]
    recovered, resolved = notes_of(incident)[-2:]
    assert recovered == "Recovered: ada." and re.fullmatch(r"Resolved after 3 m( \d+ s)?\.", resolved)


def test_a_cause_that_flickers_is_told_once(ada, told):
    lease = silent(ada)
    sweep_and_look()
    for _ in range(5):
        lease.heartbeat()
        sweep_and_look()
        minutes_pass(2)
        make_older(lease, 3)
        sweep_and_look()
    assert (the_one().status, the_one().state) == ("open", 1)
    assert len(told) == 1
    assert len(notes_of(the_one())) == 1


def test_a_cause_that_is_back_soon_is_the_same_incident_and_must_stay_away_longer(ada, told):
    lease = silent(ada)
    sweep_and_look()
    lease.heartbeat()
    sweep_and_look()
    minutes_pass(3)
    look()
    minutes_pass(5)
    make_older(lease, 3)
    assert sweep_and_look().opened == 1
    incident = the_one()
    assert (incident.status, incident.state, incident.reopened) == ("open", 3, 1)
    assert re.match(r"Reopened 5 m( \d+ s)? after it had resolved: ", notes_of(incident)[-1])
    lease.heartbeat()
    sweep_and_look()
    minutes_pass(4)
    assert look().resolved == 0
    minutes_pass(2)
    assert look().resolved == 1
    assert [moment for _, moment, _, _ in told] == ["opened", "resolved", "opened", "resolved"]


def test_a_cause_that_was_critical_is_critical_still_when_it_is_back_soon_as_a_warning(ada):
    JobKind.objects.update_or_create(name="sum", defaults={"when_silent": "flag"})
    lease = silent(ada, 7)
    sweep_and_look()
    lease.heartbeat()
    sweep_and_look()
    minutes_pass(3)
    assert look().resolved == 1
    make_older(lease, 3)
    assert sweep_and_look().opened == 1
    incident = the_one()
    assert (incident.status, incident.reopened, incident.severity) == ("open", 1, Severity.CRITICAL)


def test_a_cause_that_is_back_much_later_is_another_incident(ada):
    lease = silent(ada)
    sweep_and_look()
    lease.heartbeat()
    sweep_and_look()
    minutes_pass(3)
    look()
    minutes_pass(16)
    make_older(lease, 3)
    sweep_and_look()
    assert Incident.objects.count() == 2
    assert Incident.objects.open().get().reopened == 0


def test_a_bot_that_is_well_again_leaves_and_the_others_stay(ada, bob):
    lease = silent(ada)
    silent(bob)
    sweep_and_look()
    lease.heartbeat()
    sweep_and_look()
    assert in_it(the_one()) == ["ada", "bob"]
    minutes_pass(3)
    look()
    assert in_it(the_one()) == ["bob"]
    assert the_one().title == "bob is stuck on a sum job"
    assert "Recovered: ada." in notes_of(the_one())


def test_a_bot_that_is_back_soon_after_it_left_has_not_joined_anew(ada, bob, told):
    lease = silent(ada)
    silent(bob)
    sweep_and_look()
    lease.heartbeat()
    sweep_and_look()
    minutes_pass(3)
    look()
    make_older(lease, 3)
    sweep_and_look()
    assert in_it(the_one()) == ["ada", "bob"]
    assert the_one().bots.count() == 2
    assert len(told) == 1


def test_a_release_by_an_operator_stands_in_the_history_once_with_who_and_why(ada, bob, olga):
    first, second = silent(ada), silent(bob)
    sweep_and_look()
    lifecycle.release([first.id, second.id], by=By.operator(olga), reason="both hang")
    look()
    look()
    incident = the_one()
    note = incident.notes.get(by="olga")
    assert note.text == f"Released jobs {first.id}, {second.id}: both hang"
    minutes_pass(3)
    look()
    assert the_one().status == "resolved"


def test_what_was_done_to_its_jobs_long_before_is_not_in_the_history(ada, olga):
    old = silent(ada)
    lifecycle.release([old.id], by=By.operator(olga), reason="long ago")
    (again,) = lifecycle.claim(ada)
    assert again.id == old.id
    make_older(old, 5)
    sweep_and_look()
    assert not the_one().notes.filter(text__contains="long ago").exists()


@pytest.mark.parametrize("how", ["paused", "not expected", "revoked"])
def test_a_dead_bot_that_holds_nothing_and_may_be_gone_is_nobodys_trouble(ada, how):
    silent(ada, 7)
    sweep_and_look()
    if how == "paused":
        roster.pause(Bot.objects.all())
    elif how == "revoked":
        roster.revoke(Bot.objects.all())
    else:
        Bot.objects.update(expected=False)
    look()
    minutes_pass(3)
    assert look().resolved == 1


def test_a_paused_bot_that_is_stuck_on_what_it_holds_is_an_incident(ada):
    lease = silent(ada)
    roster.pause(Bot.objects.all())
    sweep_and_look()
    assert the_one().bots.get().job_id == lease.id


def test_a_sweep_of_one_kind_judges_only_that_kind(ada, bob):
    from alerts.incidents import reconcile

    divided = silent(bob, kind="divide")
    summed = silent(ada)
    sweep_and_look()
    divided.heartbeat()
    summed.heartbeat()
    lifecycle.regrade(Bot.objects.all())
    reconcile.reconcile(kind="sum")
    clear = dict(Incident.objects.values_list("about", "clear_since"))
    assert clear["sum"] is not None
    assert clear["divide"] is None
    put_in_quarantine(*Bot.objects.all())
    reconcile.reconcile(kind="sum")
    assert Incident.objects.count() == 2


def test_the_rows_of_an_incident_outlive_its_bots(ada):
    silent(ada, 7)
    sweep_and_look()
    Job.objects.update(finished_by=None)
    ada.delete()
    row = IncidentBot.objects.get()
    assert (row.bot, row.name) == (None, "ada")
