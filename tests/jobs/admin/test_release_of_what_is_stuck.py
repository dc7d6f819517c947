"""*Release these* on Home: all jobs of a kind that are stuck in the same way, and no others."""

import re

import pytest
from django.urls import reverse

from jobs.models import Job, JobEvent
from jobs.states import JobStatus
from tests.cast import make_older, take_one
from tests.far_side import an_incident

STUCK = reverse("admin:jobs_job_release_stuck")


@pytest.fixture
def three(ada, bob):
    leases = [take_one(ada), take_one(bob), take_one(bob)]
    for lease in leases:
        make_older(lease, 7)
    return leases


def ids(response):
    return [int(pk) for pk in response.context["selected"]]


def test_it_names_those_that_are_stuck_now_with_their_evidence(client, olga, three, ada):
    client.force_login(olga)
    other, well = take_one(ada, kind="divide"), take_one(ada)
    make_older(other, 7)
    response = client.get(STUCK, {"kind": "sum", "signal": "silent"})
    page = response.content.decode()
    assert sorted(ids(response)) == sorted(lease.id for lease in three)
    assert well.id not in ids(response)
    assert "Release: 3 jobs?" in page
    # The page may be made a second or two later.
    assert re.search(rf"silent for 7 m( \d s)? on sum job {three[0].id}\b", page)
    # The question, the reason and the button come before the jobs.
    assert page.index('id="id_reason"') < page.index('value="Release 3 jobs"') < page.index('id="affected"')


def test_those_that_were_named_are_released_and_no_others(client, olga, three, ada):
    client.force_login(olga)
    named = ids(client.get(STUCK, {"kind": "sum"}))
    late = take_one(ada)
    make_older(late, 7)
    answer = client.post(STUCK + "?kind=sum", {"_selected_action": named, "reason": "the host is gone"})
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:index"))
    assert {lease.job.status for lease in three} == {JobStatus.PENDING}
    assert late.job.status == JobStatus.PROCESSING
    assert set(JobEvent.objects.filter(verb="release").values_list("reason", flat=True)) == {"the host is gone"}


def test_if_nothing_is_stuck_any_more_it_says_so(client, olga, ada):
    client.force_login(olga)
    take_one(ada)
    answer = client.get(STUCK, {"kind": "sum", "signal": "silent"}, follow=True)
    assert "No sum job is stuck any more." in answer.content.decode()
    assert Job.objects.held().count() == 1


@pytest.mark.parametrize("chosen", ["x", "-1", "9" * 30, ""])
def test_what_is_no_number_of_a_job_changes_nothing(client, olga, three, chosen):
    client.force_login(olga)
    client.post(STUCK, {"_selected_action": [chosen], "reason": ""})
    assert {lease.job.status for lease in three} == {JobStatus.PROCESSING}


def test_who_may_not_release_may_not_do_it(client, vera, three):
    client.force_login(vera)
    assert client.get(STUCK, {"kind": "sum"}).status_code == 403
    assert client.post(STUCK, {"_selected_action": [three[0].id]}).status_code == 403
    assert three[0].job.status == JobStatus.PROCESSING


def test_an_incidents_page_has_the_same_lines(client, olga, three, ada):
    make_older(take_one(ada, kind="divide"), 7)
    incident = an_incident("ada", "bob", kind="sum", cause="stuck")
    client.force_login(olga)
    page = client.get(reverse("admin:alerts_incident_change", args=[incident.pk])).content.decode()
    assert "Stuck now: 3 jobs" in page
    assert "Release these 3" in page
