"""The page of release patterns: who may see it, what it says, its links, and its tables as files."""

import csv
import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from jobs import lifecycle
from jobs.admin.release_patterns import TABLES
from jobs.lifecycle import By
from jobs.models import Job, JobRollup, RollupState
from jobs.stats import rollup
from tests.cast import bot_named, take_one
from tests.jobs.release_patterns.test_report import done, given

PAGE = reverse("admin:jobs_jobevent_patterns")


def table(name, query=""):
    return reverse("admin:jobs_jobevent_patterns_csv", args=[name]) + query


def rows(response):
    assert response.status_code == 200
    assert response.streaming
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


@pytest.fixture
def asking(client, olga):
    client.force_login(olga)
    return client


@pytest.fixture
def told(ada, bob, olga):
    """Ada gave back two of three, and bob one of one; all within the last hours."""
    now = timezone.now()
    given(take_one(ada), now - timedelta(hours=2), reason="=1+1")
    given(take_one(ada), now - timedelta(hours=2), by=By.operator(olga), reason="ada hangs")
    given(take_one(bob, kind="divide"), now - timedelta(hours=3), reason="silent for 9 m")
    done(ada, now - timedelta(hours=1))
    rollup.add_closed_minutes()


@pytest.mark.parametrize("url", [PAGE, table("bots")])
def test_who_may_not_see_the_history_sees_no_patterns(client, nora, vera, told, url):
    assert client.get(url).status_code == 302  # to log in
    client.force_login(nora)
    assert client.get(url).status_code == 403
    nora.user_permissions.add(Permission.objects.get(codename="view_jobevent"))
    assert client.get(url).status_code == 200
    client.force_login(vera)
    assert client.get(url).status_code == 200


def test_the_page_says_what_is_counted_and_what_stands_out(asking, told):
    said = asking.get(PAGE).content.decode()
    assert "What stands out" in said
    assert "Too few to compare: 3 of 4 leases were returned (75 %)." in said
    assert "Counted: leases that an operator released or the sweep expired" in said
    assert "in the time zone UTC" in said
    assert said.count('role="img"') >= 3
    assert "ada hangs" in said
    assert "silent for …" in said


def test_jobs_and_bots_with_several_returns_are_listed(asking, told, ada, olga):
    lease = take_one(ada)
    for hours in (2, 1):
        given(lease, timezone.now() - timedelta(hours=hours), by=By.operator(olga))
        Job.objects.filter(pk=lease.id).update(run_at=timezone.now())
        lifecycle.claim(ada)
    page = asking.get(PAGE).content.decode()
    assert "each time by ada" in page
    assert "No job was returned twice." not in page
    assert "No bot had two returned leases." not in page
    assert f'<a href="{reverse("admin:bots_bot_change", args=[ada.pk])}">ada</a>' in page


def test_each_hour_of_the_day_is_shown(asking, ada):
    for n in range(24):
        given(take_one(ada), timezone.now() - timedelta(hours=n), reason="silent for 9 m")
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    hours = asking.get(PAGE).content.decode().split("By hour of the day")[1].split("</section>")[0]
    assert "more are in the CSV file" not in hours
    assert hours.count('<th scope="row">') == 24


def test_links_lead_to_the_page_and_come_with_their_filter(asking, ada, told):
    for url, link in (
        (reverse("admin:index"), PAGE),
        (reverse("admin:jobs_jobevent_changelist"), PAGE),
        (reverse("admin:bots_bot_change", args=[ada.pk]), PAGE + "?bot=ada"),
        (reverse("admin:jobs_jobkind_change", args=["divide"]), PAGE + "?kind=divide"),
    ):
        assert f'href="{link}"' in asking.get(url).content.decode(), url


def test_who_may_not_see_it_is_not_sent_there(client, nora, ada, told):
    nora.user_permissions.add(*Permission.objects.filter(codename__in=["view_job", "view_bot", "view_jobkind"]))
    client.force_login(nora)
    for url in (reverse("admin:index"), reverse("admin:bots_bot_change", args=[ada.pk])):
        assert PAGE not in client.get(url).content.decode()


def test_filters_stay_in_the_links_to_files_and_ranges(asking, told):
    said = asking.get(PAGE + "?range=24h&kind=sum&counted=all").content.decode()
    assert f'href="{table("bots")}?range=24h&amp;kind=sum&amp;counted=all"' in said
    assert 'href="?range=30d&amp;kind=sum&amp;counted=all"' in said
    assert 'href="?range=24h&amp;counted=all">All kinds and bots' in said
    assert "<option selected>sum</option>" in said
    of_bot = asking.get(PAGE + "?bot=ada").content.decode()
    assert "2 of its 3 leases" in of_bot
    assert 'value="ada"' in of_bot


def test_dates_may_be_given_and_a_wrong_one_is_named(asking, told):
    today = timezone.localdate()
    said = asking.get(f"{PAGE}?from={today - timedelta(days=1)}&to={today}").content.decode()
    assert "3 of 4 leases" in said
    assert f'value="{today}"' in said
    said = asking.get(f"{PAGE}?from=2026-13-01").content.decode()
    assert "From: &#x27;2026-13-01&#x27; is not a date. Write it as 2026-03-31. The last 7 days are shown." in said
    empty = asking.get(f"{PAGE}?from={today - timedelta(days=60)}&to={today - timedelta(days=50)}").content.decode()
    assert "No lease ended in this range." in empty


def test_a_bot_that_is_not_there_and_missing_statistics_are_named(asking, db):
    said = asking.get(PAGE + "?bot=%3Cb%3Ezoe").content.decode()
    assert "There is no bot called &lt;b&gt;zoe." in said
    assert "<b>zoe" not in said
    assert "There are no statistics yet" in said
    assert "No lease ended in this range." in said


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_a_file_with_its_columns(asking, told, name):
    response = asking.get(table(name))
    assert response["Content-Type"].startswith("text/csv")
    assert f'filename="release-patterns-{name}-' in response["Content-Disposition"]
    found = rows(response)
    # Two days are no weekday, and nothing came back twice but ada.
    assert bool(found) == (name not in {"weekdays", "jobs-again"})
    for row in found:
        assert tuple(row) == TABLES[name].columns


def test_files_have_the_figures_of_the_page(asking, told):
    by_bot = {row["bot"]: row for row in rows(asking.get(table("bots")))}
    assert (by_bot["ada"]["given_back"], by_bot["ada"]["leases"], by_bot["ada"]["out"]) == ("2", "3", "no")
    assert [row["bot"] for row in rows(asking.get(table("bots", "?kind=divide")))] == ["bob"]
    assert {row["who"]: row["leases"] for row in rows(asking.get(table("who")))} == {"the sweep": "2", "olga": "1"}
    (ada,) = rows(asking.get(table("bots-again")))
    assert (ada["bot"], ada["times"], ada["story"]) == ("ada", "2", "2 different jobs, all at once")


def test_a_file_runs_no_formula(asking, told, olga):
    bad = bot_named("=cmd()")
    for _ in range(2):
        given(take_one(bad), timezone.now() - timedelta(hours=1), by=By.operator(olga), reason="@SUM(1)")
    JobRollup.objects.all().delete()
    RollupState.objects.all().delete()
    rollup.add_closed_minutes()
    reasons = {row["reason"] for row in rows(asking.get(table("reasons")))}
    assert {"'=…+…", "'@SUM(…)"} <= reasons
    assert "'=cmd()" in {row["bot"] for row in rows(asking.get(table("bots")))}


def test_a_table_that_is_not_there_is_not_found(asking, told):
    assert asking.get(table("sheep")).status_code == 404


def test_reasons_are_escaped(asking, told, ada, olga):
    given(take_one(ada), timezone.now() - timedelta(hours=1), by=By.operator(olga), reason="<script>alert(1)</script>")
    said = asking.get(PAGE).content.decode()
    assert "&lt;script&gt;alert(…)" in said
    assert "<script>alert" not in said


def test_a_bot_that_is_gone_keeps_its_figures_and_has_no_link(asking, told, bob):
    bob_id = bob.pk
    bob.delete()
    said = asking.get(PAGE).content.decode()
    assert f"bot {bob_id}" in said
    assert "bot=bob" not in said
    assert 'href="?range=7d&amp;bot=ada"' in said
