"""What a message says: what, since when, why, and where to press Release."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from alerts.delivery import messages
from alerts.models import Incident
from alerts.states import Moment
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from tests.cast import Lease, take_one
from tests.far_side import an_incident, changed, resolved, stuck_with

pytestmark = pytest.mark.django_db


def page_of(lease: Lease) -> str:
    return reverse("admin:jobs_job_change", args=[lease.id])


def release_of(lease: Lease) -> str:
    return reverse("admin:jobs_job_release", args=[lease.id])


def told(incident: Incident, moment: Moment = Moment.OPENED) -> dict[str, Any]:
    return messages.build(incident, moment, timezone.now())


def test_it_says_what_since_when_why_and_where_to_release(ada: Bot, settings: Any) -> None:
    settings.SITE_URL = "https://jobs.example.org"
    lease = take_one(ada)
    incident = changed(stuck_with(lease), title=f"ada is stuck on sum job {lease.id}")
    message = told(incident)
    assert messages.subject(message, Moment.OPENED) == f"OPENED, warning: ada is stuck on sum job {lease.id}"
    text = messages.text(message, Moment.OPENED, "the-name")
    assert text.startswith(f"Since {timezone.localtime(incident.opened_at):%Y-%m-%d %H:%M:%S} UTC.\n\n")
    assert "silent for 6 m 10 s, limit 2 m" in text
    assert f"- ada, job {lease.id}: silent for 6 m, limit 2 m" in text
    assert f"Release it: https://jobs.example.org{release_of(lease)}" in text
    assert f"The bot: https://jobs.example.org{reverse('admin:bots_bot_change', args=[ada.pk])}" in text
    assert "Delivery the-name." in text


def test_without_a_site_url_links_are_paths_and_it_says_why(ada: Bot, settings: Any) -> None:
    settings.SITE_URL = ""
    lease = take_one(ada)
    message = told(stuck_with(lease))
    text = messages.text(message, Moment.OPENED, "1")
    assert f"Release it: {release_of(lease)}" in text
    assert "http" not in text
    assert "SITE_URL is empty" in text


def test_there_is_no_release_of_a_job_that_was_given_back(ada: Bot, bob: Bot, olga: User) -> None:
    kept, given_back = take_one(ada), take_one(bob)
    incident = stuck_with(kept, given_back)
    lifecycle.release([given_back.id], by=By.operator(olga))
    message = told(incident)
    assert [bot["release_url"] for bot in message["bots"]] == [release_of(kept), ""]
    text = messages.text(message, Moment.OPENED, "1")
    assert f"The job: {page_of(given_back)}" in text
    assert release_of(given_back) not in text


def test_there_is_no_release_of_a_job_that_another_bot_has_by_now(ada: Bot, bob: Bot, olga: User) -> None:
    lease = take_one(ada)
    incident = stuck_with(lease)
    lifecycle.release([lease.id], by=By.operator(olga))
    lifecycle.claim(bob, limit=1)
    assert lease.job.claimed_by == bob
    (bot,) = told(incident)["bots"]
    assert (bot["release_url"], bot["job_url"]) == ("", page_of(lease))


def test_at_the_end_nobody_is_asked_to_release_what_a_bot_works_on_again(ada: Bot) -> None:
    lease = take_one(ada)
    text = messages.text(told(resolved(stuck_with(lease)), Moment.RESOLVED), Moment.RESOLVED, "1")
    assert f"The job: {page_of(lease)}" in text
    assert release_of(lease) not in text


def test_of_a_job_that_is_gone_there_is_no_link() -> None:
    message = told(an_incident("ada"))
    (bot,) = message["bots"]
    assert (bot["job"], bot["job_url"], bot["release_url"]) == (1, "", "")
    assert "/jobs/job/" not in messages.text(message, Moment.OPENED, "1")


def test_a_message_of_an_earlier_version_still_has_its_text_and_finds_its_jobs(ada: Bot) -> None:
    lease = take_one(ada)
    message = told(stuck_with(lease))
    for name in ("bot_id", "job_url"):
        del message["bots"][0][name]
    assert f"Release it: {release_of(lease)}" in messages.text(message, Moment.OPENED, "1")
    # Nobody knows whether the bot that has the job is the one that was meant.
    assert f"The job: {page_of(lease)}" in messages.text(messages.refresh_links(message), Moment.OPENED, "1")


def test_of_fifty_bots_ten_are_named() -> None:
    message = told(an_incident(*(f"bot {n}" for n in range(50))))
    assert [bot["name"] for bot in message["bots"]] == [f"bot {n}" for n in range(10)]
    assert message["more_bots"] == 40
    text = messages.text(message, Moment.OPENED, "1")
    assert "- bot 9, job 10" in text
    assert "bot 10" not in text
    assert "- and 40 more" in text


def test_ten_bots_are_all() -> None:
    message = told(an_incident(*(f"bot {n}" for n in range(10))))
    assert (len(message["bots"]), message["more_bots"]) == (10, 0)
    assert "more" not in messages.text(message, Moment.OPENED, "1")


def test_bots_that_have_left_an_incident_are_named_only_at_its_end() -> None:
    incident = an_incident("ada", "bob")
    incident.bots.filter(name="bob").update(until=timezone.now())
    assert [bot["name"] for bot in told(incident, Moment.WORSE)["bots"]] == ["ada"]
    assert [bot["name"] for bot in told(resolved(incident), Moment.RESOLVED)["bots"]] == ["ada", "bob"]


def test_each_moment_has_its_word_and_says_how_long_it_lasts() -> None:
    incident = an_incident("ada", opened_at=timezone.now() - timedelta(minutes=12))
    message = told(incident, Moment.WORSE)
    assert messages.subject(message, Moment.WORSE).startswith("WORSE, warning: ")
    assert messages.subject(message, Moment.AGAIN).startswith("AGAIN, warning: ")
    assert re.search(r", for 12 m( \d+ s)? now", messages.text(message, Moment.AGAIN, "1"))
    message = told(resolved(incident), Moment.RESOLVED)
    assert messages.subject(message, Moment.RESOLVED).startswith("RESOLVED: ")
    assert "Resolved " in messages.text(message, Moment.RESOLVED, "1")
    assert ", after 12 m" in messages.text(message, Moment.RESOLVED, "1")


def test_a_subject_is_one_line_and_not_too_long() -> None:
    message = told(an_incident("ada", title="a\r\nBcc: x@example.org\n" + "long " * 50))
    subject = messages.subject(message, Moment.OPENED)
    assert "\n" not in subject and "\r" not in subject
    assert subject.startswith("OPENED, warning: a Bcc: x@example.org long")
    assert len(subject) == messages.SUBJECT_LENGTH


def test_it_says_who_has_acknowledged_it() -> None:
    incident = an_incident("ada", acknowledged_at=timezone.now(), acknowledged_by="olga")
    assert "olga has acknowledged it." in messages.text(told(incident), Moment.WORSE, "1")


def test_times_in_messages_for_programs_are_utc(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Vienna"
    message = told(an_incident("ada"))
    assert message["incident"]["opened_at"].endswith("+00:00")
