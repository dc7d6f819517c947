"""Many jobs at once: what will happen is said first, all that match go step by step, and it can be stopped."""

import re

import pytest
from django.urls import reverse

from bots.models import AuditEntry
from jobs.admin import all_matching, take_back
from jobs.models import Job, JobEvent
from jobs.states import JobStatus
from tests.cast import enqueue_one, take_one

LIST = reverse("admin:jobs_job_changelist")


def form(action, jobs=(), **more):
    return {"action": action, "_selected_action": [job.id for job in jobs]} | more


def hidden(html):
    """What the page's form would send on."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html.split('id="walk"')[1]))


@pytest.fixture
def asking(client, olga):
    client.force_login(olga)
    return client


def test_the_preview_says_what_is_done_to_which_and_what_is_left_alone_and_why(asking, ada):
    held, waiting = take_one(ada), enqueue_one()
    said = asking.post(LIST, form("release_jobs", [held, waiting])).content.decode()
    assert f"sum {held.id}" in said
    assert f"sum {waiting.pk} is pending: only a claimed or processing job can be released." in said
    assert "Skipped: 1" in said
    assert held.job.status == JobStatus.PROCESSING


def test_a_new_priority_is_asked_for_and_given(asking):
    jobs = [enqueue_one(), enqueue_one(priority=8)]
    assert 'name="priority"' in asking.post(LIST, form("prioritise_jobs", jobs)).content.decode()
    more = {"confirmed": "yes", "priority": "8", "reason": "soon"}
    said = asking.post(LIST, form("prioritise_jobs", jobs, **more), follow=True).content.decode()
    assert "Prioritised 1 job. 1 had ended or had that priority already and was left alone." in said
    assert set(Job.objects.values_list("priority", flat=True)) == {8}


@pytest.mark.parametrize("priority", ["", "high", "1.5", "99999999"])
def test_a_priority_that_is_none_is_refused_and_changes_nothing(asking, priority):
    job = enqueue_one()
    more = {"confirmed": "yes", "priority": priority}
    said = asking.post(LIST, form("prioritise_jobs", [job], **more)).content.decode()
    assert "Priority: give a" in said
    assert not JobEvent.objects.exists()


def test_all_that_match_are_previewed_and_then_done_step_by_step(asking, ada, monkeypatch):
    monkeypatch.setattr(all_matching, "STEP", 3)
    for _ in range(7):
        take_one(ada).fail(retry=False)
    other = take_one(ada, kind="divide")
    other.fail(retry=False)
    url = f"{LIST}?view=failed&kind=sum"
    said = asking.post(url, form("retry_jobs", select_across="1")).content.decode()
    assert "7 match now" in said
    response = asking.post(url, form("retry_jobs", select_across="1", confirmed="yes", reason="again"))
    steps = 1
    while response.status_code == 200:
        html = response.content.decode()
        assert "<progress" in html
        response = asking.post(url, hidden(html))
        steps += 1
    assert steps == 3
    assert "Retried 7 jobs." in asking.get(url).content.decode()
    assert Job.objects.pending().count() == 7
    assert other.job.status == JobStatus.FAILED
    # One for each step that changed something.
    acts = AuditEntry.objects.filter(verb="retry", by="olga", object_type="job")
    recorded = {int(job) for act in acts for job in act.after.get("jobs", [act.object_id])}
    assert recorded == set(JobEvent.objects.filter(verb="retry", audit__in=acts).values_list("job_id", flat=True))
    assert len(recorded) == 7
    assert set(JobEvent.objects.filter(verb="retry").values_list("reason", flat=True)) == {"again"}


def test_it_can_be_stopped_and_says_how_far_it_came(asking, ada, monkeypatch):
    monkeypatch.setattr(all_matching, "STEP", 2)
    leases = [take_one(ada) for _ in range(6)]
    url = f"{LIST}?view=held"
    html = asking.post(url, form("release_jobs", select_across="1", confirmed="yes")).content.decode()
    said = asking.post(url, hidden(html) | {"stop": "Stop"}, follow=True).content.decode()
    assert "Stopped. Released 2 jobs. The rest is unchanged." in said
    assert Job.objects.held().count() == 4
    assert leases[0].job.status == JobStatus.PENDING


def test_jobs_that_come_in_meanwhile_were_not_meant(asking, ada, monkeypatch):
    monkeypatch.setattr(all_matching, "STEP", 2)
    for _ in range(3):
        enqueue_one()
    html = asking.post(LIST, form("cancel_jobs", select_across="1", confirmed="yes")).content.decode()
    late = enqueue_one()
    asking.post(LIST, hidden(html))
    assert Job.objects.filter(status=JobStatus.CANCELLED).count() == 3
    assert Job.objects.get(pk=late.pk).status == JobStatus.PENDING


def test_a_step_by_somebody_who_may_not_is_forbidden(client, vera, ada):
    take_one(ada)
    client.force_login(vera)
    forged = form("release_jobs", select_across="1", confirmed="yes", here="0", until="999999")
    assert client.post(LIST, forged).status_code == 403
    assert Job.objects.held().count() == 1


def test_odd_figures_in_the_form_break_nothing(asking, ada):
    take_one(ada)
    forged = form("release_jobs", select_across="1", confirmed="yes", here="x", until="-1", done="9" * 50)
    assert "Released 1 job." in asking.post(LIST, forged, follow=True).content.decode()


# --- Take back ------------------------------------------------------------------------------------------------


def walk(asking, url, sent):
    """Press "Continue" until the act is over. Returns the pages."""
    pages = [asking.post(url, sent, follow=True).content.decode()]
    while 'id="walk"' in pages[-1]:
        pages.append(asking.post(url, hidden(pages[-1]), follow=True).content.decode())
    return pages


def offer(html):
    """Where "Take it back" leads."""
    return re.search(r'<a href="([^"]+)">Take it back</a>', html)[1]


def test_an_act_on_all_that_match_is_taken_back_as_one_step_by_step(asking, monkeypatch):
    monkeypatch.setattr(all_matching, "STEP", 3)
    monkeypatch.setattr(take_back, "ENTRIES", 2)
    jobs = [enqueue_one() for _ in range(7)]
    url = offer(walk(asking, LIST, form("cancel_jobs", select_across="1", confirmed="yes"))[-1])
    assert AuditEntry.objects.filter(verb="cancel").values("act").distinct().count() == 1
    assert "Take back what was done to 7 jobs?" in asking.get(url).content.decode()
    # One of them is at work again, and stays so.
    asking.post(LIST, form("retry_jobs", jobs[:1], confirmed="yes"))
    pages = walk(asking, url, {"reason": "the wrong filter"})
    assert "Processed 6 jobs of 7" in pages[0]
    assert "6 jobs are as before. 1 had a bot, or had something done to it since." in pages[-1]
    assert Job.objects.pending().count() == 7
    assert set(JobEvent.objects.filter(verb="take_back").values_list("reason", flat=True)) == {"the wrong filter"}
    assert AuditEntry.objects.filter(verb="take_back").values("act").distinct().count() == 1


def test_what_was_done_until_it_was_stopped_is_taken_back(asking, monkeypatch):
    monkeypatch.setattr(all_matching, "STEP", 2)
    for _ in range(6):
        enqueue_one(priority=1)
    sent = form("prioritise_jobs", select_across="1", confirmed="yes", priority="9")
    html = asking.post(LIST, sent).content.decode()
    html = asking.post(LIST, hidden(html)).content.decode()
    url = offer(asking.post(LIST, hidden(html) | {"stop": "Stop"}, follow=True).content.decode())
    assert Job.objects.filter(priority=9).count() == 4
    assert "4 jobs are as before." in walk(asking, url, {})[-1]
    assert set(Job.objects.values_list("priority", flat=True)) == {1}


def test_taking_back_is_stopped_between_two_steps(asking, monkeypatch):
    monkeypatch.setattr(all_matching, "STEP", 2)
    monkeypatch.setattr(take_back, "ENTRIES", 1)
    for _ in range(4):
        enqueue_one()
    url = offer(walk(asking, LIST, form("cancel_jobs", select_across="1", confirmed="yes"))[-1])
    html = asking.post(url, {}).content.decode()
    html = asking.post(url, hidden(html) | {"stop": "Stop"}, follow=True).content.decode()
    assert "Stopped. 2 jobs are as before. The rest is unchanged." in html
    assert Job.objects.pending().count() == 2


def test_what_cannot_be_taken_back_offers_nothing(asking, ada):
    take_one(ada)
    assert "Take it back" not in walk(asking, LIST, form("release_jobs", select_across="1", confirmed="yes"))[-1]
