"""Release in the admin: a page that asks, one verb that does it, and a message that says what happened."""

import pytest
from django.urls import reverse

from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from jobs.sweep import run

LIST = reverse("admin:jobs_job_changelist")


def tick(leases, **more):
    """The form an operator sends from the list with these jobs ticked."""
    return {"action": "release_jobs", "_selected_action": [lease.id for lease in leases]} | more


@pytest.fixture
def stuck(ada, held_by, age):
    """A job that ada stopped working on, as the sweep sees it."""
    lease = held_by(ada)
    age(lease, 3)
    run.sweep()
    ada.refresh_from_db()
    assert ada.health_status == "potentially_stuck"
    assert ada.stuck_job_id == lease.id
    return lease


def test_the_confirmation_names_the_jobs_their_bots_and_for_how_long(client, olga, stuck):
    client.force_login(olga)
    page = client.post(LIST, tick([stuck])).content.decode()
    assert f"sum {stuck.id}" in page
    assert "ada" in page
    assert "3 m" in page
    assert 'name="reason"' in page
    assert stuck.job.status == JobStatus.PROCESSING


def test_release_gives_the_job_back_and_makes_the_bot_well(client, olga, stuck):
    client.force_login(olga)
    said = client.post(LIST, tick([stuck], confirmed="yes", reason="ada hangs"), follow=True)
    assert "Released 1 job." in said.content.decode()
    assert stuck.job.status == JobStatus.PENDING
    ada = Bot.objects.get(name="ada")
    assert (ada.status, ada.health_status, ada.health_reason, ada.stuck_job_id) == ("idle", "normal", "", None)
    event = JobEvent.objects.get(job=stuck.id)
    assert (event.verb, event.actor, event.by, event.reason) == (Verb.RELEASE, "operator", "olga", "ada hangs")
    entry = AuditEntry.objects.get(object_type="job", object_id=str(stuck.id))
    assert (entry.verb, entry.by, entry.via, entry.reason) == ("release", "olga", "console", "ada hangs")
    assert event.audit_id == entry.pk


def test_jobs_that_nobody_holds_any_more_are_left_alone_and_counted(client, olga, ada, held_by):
    client.force_login(olga)
    leases = [held_by(ada) for _ in range(6)]
    for lease in leases[:2]:
        lease.complete(result=1)
    said = client.post(LIST, tick(leases, confirmed="yes"), follow=True).content.decode()
    assert "Released 4 jobs. 2 were no longer held and were left alone." in said
    assert Job.objects.pending().count() == 4
    assert JobEvent.objects.filter(verb=Verb.RELEASE).count() == 4
    entry = AuditEntry.objects.get(verb="release")
    assert entry.after["jobs"] == [lease.id for lease in leases[2:]]
    assert JobEvent.objects.filter(audit=entry).count() == 4


def test_all_that_match_can_be_released_at_once(client, olga, ada, held_by):
    client.force_login(olga)
    leases = [held_by(ada) for _ in range(60)]
    form = tick(leases[:1], confirmed="yes", select_across="1")
    said = client.post(LIST + "?view=held", form, follow=True).content.decode()
    assert "Released 60 jobs." in said
    assert not Job.objects.held().exists()


def test_a_job_has_a_release_button_on_its_own_page(client, olga, stuck):
    client.force_login(olga)
    url = reverse("admin:jobs_job_release", args=[stuck.id])
    assert url in client.get(reverse("admin:jobs_job_change", args=[stuck.id])).content.decode()
    assert "ada" in client.get(url).content.decode()
    client.post(url, {"reason": "hangs"})
    assert stuck.job.status == JobStatus.PENDING


def test_a_job_that_nobody_holds_has_a_greyed_release_that_says_why(client, olga, a_job):
    client.force_login(olga)
    job = a_job()
    page = client.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    assert reverse("admin:jobs_job_release", args=[job.pk]) not in page
    assert "only a claimed or processing job can be released" in page


def test_a_view_only_operator_sees_no_button_and_no_action(client, vera, stuck):
    client.force_login(vera)
    home = client.get(reverse("admin:index")).content.decode()
    own = client.get(reverse("admin:jobs_job_change", args=[stuck.id])).content.decode()
    jobs = client.get(LIST).content.decode()
    assert f"job {stuck.id}" in home
    for page in (home, own, jobs):
        assert "/release/" not in page
        assert "release_jobs" not in page


def test_a_forged_release_by_a_view_only_operator_is_forbidden(client, vera, stuck):
    client.force_login(vera)
    url = reverse("admin:jobs_job_release", args=[stuck.id])
    assert client.get(url).status_code == 403
    assert client.post(url, {"confirmed": "yes"}).status_code == 403
    assert client.post(LIST, tick([stuck], confirmed="yes")).status_code == 403
    assert stuck.job.status == JobStatus.PROCESSING
    assert not JobEvent.objects.exists()


def test_a_missing_job_is_not_found(client, olga):
    client.force_login(olga)
    assert client.post(reverse("admin:jobs_job_release", args=[999_999])).status_code == 404


def test_home_shows_the_stuck_job_with_its_evidence_and_release(client, olga, stuck):
    client.force_login(olga)
    page = client.get(reverse("admin:index")).content.decode()
    assert "silent for 3 m" in page
    assert reverse("admin:jobs_job_release", args=[stuck.id]) in page


def test_a_late_result_can_be_accepted_from_the_jobs_page(client, olga, stuck):
    lifecycle.release([stuck.id], by=lifecycle.By.operator(olga))
    stuck.complete(result={"sum": 3})
    client.force_login(olga)
    url = reverse("admin:jobs_job_accept", args=[stuck.id])
    assert url in client.get(reverse("admin:jobs_job_change", args=[stuck.id])).content.decode()
    client.post(url)
    assert (stuck.job.status, stuck.job.result) == (JobStatus.SUCCEEDED, {"sum": 3})


def test_a_late_failure_is_no_result_to_accept(client, olga, stuck):
    lifecycle.release([stuck.id], by=lifecycle.By.operator(olga))
    stuck.fail("too late")
    assert JobEvent.objects.filter(job=stuck.id, verb=Verb.LATE).exists()
    client.force_login(olga)
    url = reverse("admin:jobs_job_accept", args=[stuck.id])
    assert url not in client.get(reverse("admin:jobs_job_change", args=[stuck.id])).content.decode()
    page = client.post(LIST, tick([stuck], action="accept_jobs")).content.decode()
    assert "Accept late result: 0 jobs?" in page
    assert "Skipped: 1" in page
    client.post(LIST, tick([stuck], action="accept_jobs", confirmed="yes"))
    assert stuck.job.status == JobStatus.PENDING


def test_what_a_bot_holds_is_released_from_the_list_of_bots_after_asking(client, olga, ada, held_by):
    leases = [held_by(ada) for _ in range(2)]
    client.force_login(olga)
    url = reverse("admin:bots_bot_changelist")
    form = {"action": "release_held", "_selected_action": [ada.pk]}
    assert f"sum {leases[0].id}" in client.post(url, form).content.decode()
    assert Job.objects.held().count() == 2
    said = client.post(url, form | {"confirmed": "yes", "reason": "going home"}, follow=True).content.decode()
    assert "Released 2 jobs." in said
    assert Job.objects.pending().count() == 2


def test_a_bot_is_restarted_from_the_list_of_bots(client, olga, ada, held_by):
    lease = held_by(ada)
    client.force_login(olga)
    url = reverse("admin:bots_bot_changelist")
    said = client.post(url, {"action": "restart", "_selected_action": [ada.pk]}, follow=True).content.decode()
    assert "1 bot will be asked to restart. Released 1 job." in said
    assert ada.instances.get().restart_requested_at is not None
    assert lease.job.status == JobStatus.PENDING
