"""Home: what needs an operator now, the fleet, and what happened, for those who may see it."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from alerts.incidents import reconcile
from alerts.models import Incident
from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.lists import home as lists_home
from jobs.models import JobKind
from jobs.stats import rollup
from jobs.sweep import run
from jobsite.dev import night
from tests.cast import bot_named, enqueue_one, make_older, put_in_quarantine, take_one

HOME = reverse("admin:index")


@pytest.fixture
def home(client, olga):
    client.force_login(olga)
    return lambda query="": client.get(HOME + query).content.decode()


def test_an_empty_house_says_what_to_do_next(home):
    page = home()
    assert "Nothing is stuck." in page
    assert "No bot is registered." in page
    assert "No job is waiting." in page
    assert "None yet." in page


def test_the_worst_comes_first_with_its_evidence(home, ada, bob):
    late, later = take_one(ada), take_one(bob)
    make_older(late, 3)
    make_older(later, 5)
    page = home()
    assert page.index(f"sum job {later.id}") < page.index(f"sum job {late.id}")
    assert "silent for 5 m" in page
    assert reverse("admin:jobs_job_release", args=[late.id]) in page


def test_a_bot_in_quarantine_needs_somebody(home, ada):
    put_in_quarantine(ada, reason="")
    page = home()
    assert "its jobs expired too often" in page
    assert "ada: quarantined" in page


def test_a_throttle_is_no_pause_and_says_until_when(home):
    JobKind.objects.create(name="sum")
    lifecycle.throttle("sum", "acme", 600, by=lifecycle.SWEEP, reason="429")
    page = home()
    (row,) = re.findall(r'aria-label="Throttled">.*?</li>', page, re.DOTALL)
    assert '<span class="badge warn">throttled</span>' in row
    assert "sum, group acme" in row and "Until <time" in row and "paused" not in row


def test_a_bot_has_a_tile_with_the_word_that_matters_most(ada, bob):
    carl, dora = bot_named("carl"), bot_named("dora")
    take_one(ada)
    stuck = take_one(bob)
    make_older(stuck, 3)
    run.sweep()
    roster.pause(Bot.objects.filter(pk=carl.pk))
    Bot.objects.filter(pk=dora.pk).update(status="down")
    words = {bot.name: word for bot, word in lists_home.fleet().tiles}
    assert words == {"ada": "busy", "bob": "potentially_stuck", "carl": "paused", "dora": "down"}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"health_status": "unhealthy", "quarantined": True, "status": "down"}, "unhealthy"),
        ({"health_status": "potentially_stuck", "quarantined": True}, "quarantined"),
        ({"health_status": "potentially_stuck", "status": "down"}, "potentially_stuck"),
        ({"status": "down", "paused": True}, "down"),
        ({"status": "busy", "paused": True}, "paused"),
        ({"status": "busy"}, "busy"),
        ({"status": "idle"}, "idle"),
    ],
)
def test_of_several_states_the_worst_is_on_the_tile(ada, fields, state):
    if fields.get("health_status"):
        fields = fields | {"stuck_job": take_one(ada).id}
    if fields.get("quarantined"):
        put_in_quarantine(ada)
    Bot.objects.filter(pk=ada.pk).update(**{name: value for name, value in fields.items() if name != "quarantined"})
    assert [shown for _, shown in lists_home.fleet().tiles] == [state]


def test_what_waits_longest_is_there_for_each_kind_and_says_when_its_kind_is_paused(home):
    old = enqueue_one()
    make_older(old, 90)
    enqueue_one()
    other = enqueue_one(kind="divide")
    JobKind.objects.filter(name="divide").update(paused=True)
    page = home()
    assert f'id="oldest-{old.pk}"' in page
    assert "1 h 30 m" in page
    assert f'id="oldest-{other.pk}"' in page
    assert 'divide <span class="badge warn">paused</span>' in page


def test_the_last_interventions_say_who_did_what_and_why(home, olga, ada):
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga), reason="ada hangs")
    page = home()
    assert "ada hangs" in page
    assert "<b>1</b>released by operators today" in page


def test_what_bots_give_back_is_no_release_by_an_operator(home, olga, ada):
    leases = [take_one(ada) for _ in range(3)]
    lifecycle.release([leases[0].id], by=By.operator(olga))
    leases[1].hand_back()
    lifecycle.hello(ada, instance="second")
    assert "<b>1</b>released by operators today" in home()


@pytest.mark.parametrize(("query", "window"), [("", "hour"), ("?span=day", "day"), ("?span=nonsense", "hour")])
def test_charts_have_a_window_and_the_figures_behind_them(home, ada, query, window):
    lease = take_one(ada)
    lease.complete(1)
    make_older(lease, 20)
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=1))
    page = home(query)
    assert f"In the last {window}: 1 succeeded, 0 failed." in page
    assert 'aria-current="true">' + window in page
    assert '<td class="num">1</td>' in page


def test_who_may_see_nothing_is_told_whom_to_ask(client, nora):
    # No token of a form has these letters by chance, as it may have those of a short name.
    bot_named("crawler-one")
    client.force_login(nora)
    page = client.get(HOME).content.decode()
    assert "You may not see jobs or bots." in page
    assert "crawler-one" not in page
    assert 'href="/admin/jobs/job/"' not in page


def test_who_may_only_look_sees_it_all_without_a_button(client, vera, ada):
    lease = take_one(ada)
    make_older(lease, 3)
    client.force_login(vera)
    page = client.get(HOME).content.decode()
    assert f"sum job {lease.id}" in page
    assert "data-release" not in page


def test_what_is_stuck_is_one_line_for_each_kind_and_opens_to_its_jobs(home, ada, bob):
    leases = [take_one(ada), take_one(bob), take_one(ada), take_one(ada, kind="divide")]
    for n, lease in enumerate(leases):
        make_older(lease, 6 + n)
    page = home()
    assert "<strong>4 stuck jobs</strong> of 2 kinds" in page
    assert re.search(r"<strong>3 <a [^>]*>sum</a> jobs</strong> on 2 bots, silent for 6 to 8 m", page)
    assert "Release these 3" in page
    assert f"divide job {leases[3].id}" in page
    # Most jobs come first.
    assert page.index("Release these 3") < page.index(f"divide job {leases[3].id}")
    assert all(f'id="release-{lease.id}"' in page for lease in leases)


def test_an_incident_and_its_jobs_are_one_line(home, ada, bob):
    for bot in (ada, bob):
        make_older(take_one(bot), 4)
    run.sweep()
    reconcile.reconcile()
    incident = Incident.objects.get(cause="stuck")
    page = home()
    assert page.count(f'id="incident-{incident.pk}"') == 1
    # Its title is only what its button is about, for those who cannot see it.
    assert page.count(incident.title) == page.count(f'<span class="visually-hidden"> {incident.title}</span>') == 1


def test_a_bot_whose_job_went_back_was_stuck_and_is_not_any_more(home, ada):
    JobKind.objects.create(name="sum", when_silent="release")
    lease = take_one(ada)
    make_older(lease, 7)
    run.sweep()
    assert lease.job.status == "pending"
    page = home()
    assert "was stuck until" in page
    assert "not seen since" in page
    assert "ada: was stuck" in page
    assert "potentially stuck" not in page


def test_a_large_outage_is_told_in_few_queries(home, settings, django_assert_max_num_queries):
    settings.DEBUG = True
    night.seed(500, lambda n: None)
    home()
    with django_assert_max_num_queries(15):
        page = home()
    assert "<strong>97 stuck jobs</strong> of 10 kinds" in page
    assert "Release these 40" in page
    assert len(page) < 120 * 1024


def test_the_lag_of_the_figures_stands_beside_them(home, ada):
    assert "Nothing is counted yet" in home()
    rollup.add_closed_minutes()
    assert re.search(r"Counted until <time[^>]*>\d+ [ms]", home())
