"""The history is one log that one can ask, also across the gap that a restore leaves in its ids."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bots import roster
from bots.audit import Via, Who
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.lists import history
from jobs.models import JobEvent
from jobsite.lib import site
from tests.cast import enqueue_one, person_named, take_one

pytestmark = pytest.mark.django_db
HISTORY = reverse("admin:jobs_jobevent_changelist")


def listed(client: Client) -> list[int]:
    """The jobs of the events in the list, the newest first."""
    found = re.findall(r'log-about"><a href="/admin/jobs/job/(\d+)/', client.get(HISTORY).content.decode())
    return [int(job) for job in found]


def test_events_from_before_a_restore_are_listed(
    client: Client, ada: Bot, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "GAP_MIN", 2 * history.SEARCHED)
    monkeypatch.setattr(site, "GAP_MAX", 2 * history.SEARCHED + 1)
    client.force_login(olga)
    before = take_one(ada)
    lifecycle.cancel([before.id], by=By.operator(olga))
    site.declare()
    after = take_one(ada)
    lifecycle.cancel([after.id], by=By.operator(olga))
    assert listed(client) == [after.id, before.id]


def log(client: Client, query: str = "") -> str:
    answer = client.get(HISTORY + query)
    assert answer.status_code == 200
    return answer.content.decode()


def jobs_in(page: str) -> list[int]:
    return [int(job) for job in re.findall(r'log-about"><a href="/admin/jobs/job/(\d+)/', page)]


@pytest.fixture
def night(ada: Bot, bob: Bot, olga: User) -> dict[str, int]:
    """What olga, two bots and the sweep did to three jobs, and to a bot."""
    released, failed, held = take_one(ada, kind="mail"), take_one(bob), take_one(bob)
    lifecycle.release([released.id], by=By.operator(olga), reason="ada hangs")
    failed.fail("Traceback (most recent call last):\nValueError: no address", retry=False)
    lifecycle.release([held.id, released.id], by=By.operator(olga), reason="not held any more")
    roster.pause(Bot.objects.filter(pk=ada.pk), by=Who("ben", Via.CONSOLE), reason="too hot")
    return {"released": released.id, "failed": failed.id, "held": held.id}


def test_acts_and_events_are_one_log_and_an_act_is_one_line(client: Client, olga: User, night: dict[str, int]) -> None:
    client.force_login(olga)
    page = log(client)
    # Of the two releases and the failure, one line each; of bots, that they were registered, and the pause.
    assert jobs_in(page) == [night["held"], night["failed"], night["released"]]
    assert page.count('class="log-about"') == 6
    assert "too hot" in page
    # The error's last line is the row, all of it opens.
    assert "<summary>ValueError: no address</summary>" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?job={released}", ["released"]),
        ("?bot=bob", ["held", "failed"]),
        ("?kind=mail", ["released"]),
        ("?person=olga", ["held", "released"]),
        ("?person=ben", []),
        ("?verb=fail", ["failed"]),
        ("?actor=bot", ["failed"]),
        ("?words=HANGS", ["released"]),
        ("?words=address", ["failed"]),
        ("?from=2020-01-01&to=2090-01-01T10:00", ["held", "failed", "released"]),
        ("?to=2020-01-01", []),
        ("?from=2090-01-01", []),
    ],
)
def test_it_is_asked_by(client: Client, olga: User, night: dict[str, int], query: str, found: list[str]) -> None:
    client.force_login(olga)
    assert jobs_in(log(client, query.format(**night))) == [night[name] for name in found]


def test_what_cannot_be_used_is_left_out_and_says_how_to_write_it(
    client: Client, olga: User, night: dict[str, int]
) -> None:
    client.force_login(olga)
    page = log(client, "?from=yesterday&job=x&before_event=-1&verb=nonsense")
    assert "From: write a day or a time" in page
    assert "Job: write its number." in page


def test_who_may_not_see_the_audit_log_sees_the_events(client: Client, night: dict[str, int]) -> None:
    client.force_login(person_named("looker", lambda name: name in ("view_jobevent", "view_job")))
    page = log(client)
    assert jobs_in(page) == [night["held"], night["failed"], night["released"]]
    assert "too hot" not in page
    assert "no address" not in page
    assert "Can view audit entry" in page
    client.force_login(person_named("nobody", lambda name: False))
    assert client.get(HISTORY).status_code == 403


def test_pages_go_on_where_the_last_one_ended(
    client: Client, ada: Bot, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 2)
    client.force_login(olga)
    jobs = []
    for n in range(5):
        lease = take_one(ada)
        jobs.append(lease.id)
        if n % 2:
            lifecycle.cancel([lease.id], by=By.operator(olga))
        else:
            lease.fail(retry=False)
    seen, query = [], ""
    for _ in range(4):
        page = log(client, query)
        seen += jobs_in(page)
        link = re.search(r'rel="next" href="([^"]+)"', page)
        if link is None:
            break
        query = html.unescape(link[1])
    assert seen == jobs[::-1]


def test_one_page_looks_so_far_back_and_offers_to_go_on(
    client: Client, ada: Bot, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SEARCHED_WORDS", 3)
    client.force_login(olga)
    wanted = take_one(ada)
    wanted.fail("the one", retry=False)
    for _ in range(4):
        take_one(ada).fail("another", retry=False)
    page = log(client, "?words=one")
    assert "Nothing matches so far." in page
    link = re.search(r'href="([^"]+)">Search further back', page)
    assert link is not None
    assert jobs_in(log(client, html.unescape(link[1]))) == [wanted.id]


def test_a_period_begins_at_an_id_that_is_found_by_halving(ada: Bot) -> None:
    for minutes in (90, 60, 30):
        lease = take_one(ada)
        lease.fail(retry=False)
        JobEvent.objects.filter(job=lease.id).update(at=timezone.now() - timedelta(minutes=minutes))
    ids = list(JobEvent.objects.order_by("id").values_list("id", flat=True))
    JobEvent.objects.filter(pk=ids[1]).update(at=timezone.now() - timedelta(minutes=60))

    def since(minutes: int) -> int:
        moment = timezone.now() - timedelta(minutes=minutes)
        return history.first_id_since("jobs_jobevent", moment)

    assert [since(minutes) for minutes in (100, 70, 40)] == ids
    assert since(0) > ids[-1]


def test_an_act_in_several_steps_is_one_line_with_all_its_jobs(client: Client, olga: User) -> None:
    by = By.operator(Who("olga", Via.CONSOLE, act=7))
    jobs = [enqueue_one().pk for _ in range(5)]
    for some in (jobs[:2], jobs[2:4], jobs[4:]):
        lifecycle.cancel(some, by=by, reason="the wrong file")
    client.force_login(olga)
    page = log(client, "?verb=cancel")
    assert (page.count('class="log-about"'), page.count("5 jobs")) == (1, 1)
    assert log(client, f"?job={jobs[2]}").count('class="log-about"') == 1


def look(client: Client, query: str = "") -> str:
    """What a page of the history gets when it refreshes."""
    return client.get(HISTORY + query, headers={"HX-Request": "true"}).content.decode()


def test_its_newest_page_refreshes_unless_that_reads_many_lines(
    client: Client, olga: User, night: dict[str, int]
) -> None:
    client.force_login(olga)
    assert 'hx-trigger="every 5s"' in log(client, "?bot=bob")
    assert 'hx-trigger="every 5s"' not in log(client, "?words=hangs")
    assert 'hx-trigger="every 5s"' not in log(client, "?before_event=5&before_entry=5")
    rows = look(client)
    assert "<html" not in rows
    assert jobs_in(rows) == jobs_in(log(client))
    keys = re.findall(r'data-key="([^"]+)"', rows)
    assert len(keys) == len(set(keys)) == 6
