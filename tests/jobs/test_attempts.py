"""People see which attempt of its job it is; bots and programs get the number with its epoch."""

import json

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from bots.models import Bot
from jobs import attempts, lifecycle
from jobs.attempts import EPOCH
from jobs.explain.timeline import timeline
from jobs.explain.why import explain
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from tests.cast import Lease, take_one
from tests.restoring import restored, short_gap  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("short_gap")]


@pytest.fixture
def second(ada: Bot, olga: User) -> Lease:
    """The second attempt of a job, in the first epoch after a restore. The first was released."""
    lease = take_one(ada)
    restored()
    lifecycle.release([lease.id], by=By.operator(olga), reason="ada hangs")
    (claimed,) = lifecycle.claim(ada)
    return Lease(ada, claimed.id, claimed.attempt)


def test_the_last_epoch_fits_into_the_column() -> None:
    assert (attempts.LAST_EPOCH + 1) * EPOCH - 1 < 2**31
    assert attempts.number(attempts.LAST_EPOCH * EPOCH + 7) == 7


def test_the_used_attempts_are_the_same_for_the_orm(second: Lease) -> None:
    assert Job.objects.annotate(n=attempts.used()).get(pk=second.id).n == 1


PAGES = {
    "/admin/jobs/job/{job}/change/": "2 of 5, 2 not counted",
    "/admin/jobs/job/?q={job}": "2 of 5, 2 not counted",
    "/admin/jobs/jobevent/{event}/change/": '<div class="readonly">2</div>',
    "/admin/bots/bot/{bot}/change/": "attempt 2, by operator olga",
}


@pytest.mark.parametrize("page", PAGES)
def test_the_console_shows_which_attempt_it_is(second: Lease, olga: User, client: Client, page: str) -> None:
    lifecycle.release([second.id], by=By.operator(olga))
    client.force_login(olga)
    url = page.format(job=second.id, event=JobEvent.objects.latest("pk").pk, bot=second.bot.pk)
    text = client.get(url).content.decode()
    assert PAGES[page] in text
    assert str(second.attempt) not in text


def test_an_export_has_what_people_see(second: Lease, olga: User, client: Client) -> None:
    client.force_login(olga)
    body = b"".join(client.get("/admin/jobs/job/export/?format=ndjson").streaming_content)  # type: ignore[attr-defined]
    assert json.loads(body)["attempt"] == 2


def test_explain_and_the_timeline_say_which_attempt_it_is(second: Lease, olga: User) -> None:
    lifecycle.release([second.id], by=By.operator(olga))
    titles = [f"{step.title} {step.text}" for step in timeline(second.job, second.job.events.order_by("pk"))]
    assert [title for title in titles if "attempt 2" in title]
    assert not [title for title in titles if str(second.attempt) in title]
    (claimed,) = lifecycle.claim(second.bot)
    Lease(second.bot, claimed.id, claimed.attempt).complete()
    assert explain(second.job).why == "ada completed it at attempt 3."


def test_the_command_says_how_many_attempts_are_used(second: Lease, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("explain", str(second.id))
    assert "1 of 3 used; 1 not counted" in capsys.readouterr().out


def test_the_api_gives_the_whole_number(second: Lease, client: Client, olga_key: str, ada_token: str) -> None:
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {olga_key}"}
    assert second.attempt == EPOCH + 2
    assert client.get(f"/api/v1/jobs/{second.id}", **bearer).json()["attempt"] == second.attempt
    assert client.get(f"/api/v1/jobs/{second.id}/events", **bearer).json()["events"][0]["attempt"] == 1
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {ada_token}"}
    body = {"attempt": second.attempt, "result": 1}
    url = f"/api/v1/jobs/{second.id}/complete"
    answer = client.post(url, body, content_type="application/json", **bearer)
    expected = {"status": "succeeded", "job_id": second.id, "attempt": second.attempt}
    assert answer.json() == expected | {"paused": False, "restart": False}


def test_the_api_refuses_what_a_restore_has_undone(second: Lease, client: Client, bob_token: str) -> None:
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {bob_token}"}
    body = {"attempt": 7, "result": 1}
    answer = client.post(f"/api/v1/jobs/{second.id}/complete", body, content_type="application/json", **bearer)
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    assert "from before the database was restored" in answer.json()["detail"]
    body = {"completed": [{"id": second.id, "attempt": 7}, {"id": second.id + 900, "attempt": 1}]}
    answer = client.post("/api/v1/exchange", body, content_type="application/json", **bearer)
    assert [(r["code"], r["reason"]) for r in answer.json()["rejected"]] == [
        ("lease_lost", "the database was restored")
    ] * 2
