"""Incidents in the console: the list, the page, Home, and taking one on."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.db.models.functions import Now
from django.urls import reverse

from alerts.models import Incident, IncidentBot
from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.lifecycle import By
from tests.alerts.passing import an_incident, sweep_and_look, the_one
from tests.cast import make_older, take_one

pytestmark = pytest.mark.django_db

LIST = reverse("admin:alerts_incident_changelist")
HOME = reverse("admin:index")


def page_of(incident):
    return reverse("admin:alerts_incident_change", args=[incident.pk])


@pytest.fixture
def see(client, olga):
    client.force_login(olga)
    return lambda url: client.get(url).content.decode()


@pytest.fixture
def stuck(ada):
    lease = take_one(ada)
    make_older(lease, 3)
    sweep_and_look()
    return lease


def resolve(incident):
    Incident.objects.filter(pk=incident.pk).update(resolved_at=Now())


def acknowledge(client, *incidents, **more):
    data = {"action": "acknowledge", "_selected_action": [i.pk for i in incidents]} | more
    return client.post(LIST, data, follow=True)


# --- The list -------------------------------------------------------------------------------------------------


def test_what_is_open_and_critical_comes_first_and_what_is_over_last(see):
    over = an_incident(about="a", title="over", severity="critical")
    resolve(over)
    an_incident(about="b", title="taken", acknowledged_at="2026-01-01T00:00Z", acknowledged_by="bert")
    an_incident(about="c", title="a warning")
    an_incident(about="d", title="critical", severity="critical")
    html = see(LIST)
    places = [html.index(f">{title}</a>") for title in ("critical", "a warning", "taken", "over")]
    assert places == sorted(places)


def test_the_list_filters_and_says_how_many_bots_there_are(see, ada):
    first, second = (
        an_incident(about="a", title="one hangs"),
        an_incident(about="b", title="two waits", cause="waiting"),
    )
    for n in range(3):
        IncidentBot.objects.create(incident=first, name=f"bot {n}", until=None if n else Now())
    resolve(second)
    assert '<td class="field-bot_count">2</td>' in see(LIST)
    assert "two waits" not in see(f"{LIST}?status=open")
    assert "one hangs" not in see(f"{LIST}?status=resolved")
    assert "one hangs" not in see(f"{LIST}?cause__exact=waiting")
    assert see(f"{LIST}?q=bot").count(">one hangs</a>") == 1
    assert '<td class="field-bot_count">2</td>' in see(f"{LIST}?q=bot")


def test_ticked_incidents_are_taken_on_with_a_remark(client, olga):
    client.force_login(olga)
    first, second, over = (an_incident(about=name) for name in "abc")
    resolve(over)
    answer = acknowledge(client, first, second, over, remark="both mine")
    html = answer.content.decode()
    assert "Acknowledged 2 incidents. Skipped 1 that was acknowledged or resolved before." in html
    for incident in (first, second):
        incident.refresh_from_db()
        assert incident.acknowledged_by == "olga"
        assert incident.notes.get(by="olga").text == "Acknowledged: both mine"
    acts = AuditEntry.objects.order_by("id").values_list("verb", "by", "object_type", "object_id", "reason")
    assert list(acts) == [
        ("acknowledge", "olga", "incident", str(incident.pk), "both mine") for incident in (first, second)
    ]


def test_who_may_only_look_cannot_take_one_on(client, vera):
    client.force_login(vera)
    incident = an_incident()
    assert client.get(page_of(incident)).status_code == 200
    assert "Acknowledge" not in client.get(page_of(incident)).content.decode()
    assert acknowledge(client, incident).status_code == 403
    assert the_one().acknowledged_at is None


def test_who_may_see_nothing_gets_403(client, nora):
    client.force_login(nora)
    incident = an_incident()
    for url in (LIST, page_of(incident)):
        assert client.get(url).status_code == 403


# --- The page -------------------------------------------------------------------------------------------------


def test_the_page_says_what_why_and_who_with_the_way_to_release(see, stuck, ada):
    html = see(page_of(the_one()))
    assert "ada is stuck on a sum job" in html
    assert re.search(rf"silent for 3 m( \d+ s)? on sum job {stuck.id}, limit 2 m", html)
    assert reverse("admin:bots_bot_change", args=[ada.pk]) in html
    assert reverse("admin:jobs_job_change", args=[stuck.id]) in html
    assert reverse("admin:jobs_job_release", args=[stuck.id]) in html
    assert "Opened: ada: silent for 3 m" in html


def test_a_job_that_nobody_holds_any_more_has_no_release(see, stuck, olga):
    lifecycle.release([stuck.id], by=By.operator(olga))
    html = see(page_of(the_one()))
    assert reverse("admin:jobs_job_change", args=[stuck.id]) in html
    assert reverse("admin:jobs_job_release", args=[stuck.id]) not in html


def test_a_bot_and_a_job_that_are_gone_are_names(see):
    incident = an_incident()
    IncidentBot.objects.create(incident=incident, name="rex", job_id=4711)
    assert "rex, job 4711" in see(page_of(incident))


def test_the_button_on_the_page_takes_it_on_and_comes_back(client, olga):
    client.force_login(olga)
    incident = an_incident()
    answer = acknowledge(client, incident, remark="on it", back=page_of(incident))
    assert answer.redirect_chain == [(page_of(incident), 302)]
    html = answer.content.decode()
    assert "Acknowledged: on it" in html
    assert "not possible: acknowledged by olga" in html
    resolve(incident)
    assert "not possible: it has resolved" in client.get(page_of(incident)).content.decode()


def test_nothing_of_it_can_be_changed_or_deleted_by_hand(client, olga):
    client.force_login(olga)
    olga.user_permissions.set(Permission.objects.all())
    incident = an_incident()
    assert client.post(page_of(incident), {"title": "all is well"}).status_code == 403
    assert client.get(reverse("admin:alerts_incident_delete", args=[incident.pk])).status_code == 403
    assert client.get(reverse("admin:alerts_incident_add")).status_code == 403
    assert the_one().title == "ada is stuck"


# --- Home -----------------------------------------------------------------------------------------------------


def test_home_names_open_incidents_first_and_those_that_are_taken_on_quietly(see):
    an_incident(about="a", title="sum hangs", severity="critical")
    taken = an_incident(about="b", title="divide hangs", acknowledged_by="bert", acknowledged_at="2026-01-01T00:00Z")
    over = an_incident(about="c", title="is over")
    resolve(over)
    html = see(HOME)
    assert html.index("What needs you now") < html.index("sum hangs") < html.index("Fleet:")
    assert html.index("sum hangs") < html.index("divide hangs")
    assert "acknowledged by bert" in html
    assert "is over" not in html
    assert f'id="acknowledge-{taken.pk}"' not in html


def test_home_takes_one_on_with_one_press(client, olga):
    client.force_login(olga)
    incident = an_incident()
    assert f'id="acknowledge-{incident.pk}"' in client.get(HOME).content.decode()
    answer = acknowledge(client, incident, back=HOME)
    assert answer.redirect_chain == [(HOME, 302)]
    assert "acknowledged by olga" in answer.content.decode()


def test_a_calm_home_says_nothing_of_incidents(see):
    assert 'id="incident-' not in see(HOME)


def test_home_says_nothing_of_incidents_to_who_may_not_see_them(client, vera):
    an_incident(title="sum hangs")
    vera.user_permissions.remove(Permission.objects.get(codename="view_incident"))
    client.force_login(vera)
    html = client.get(HOME).content.decode()
    assert "sum hangs" not in html
    assert "What needs you now" in html


# --- What decides whether a bot is missed, and how long a job may wait ------------------------------------------


def test_a_bot_is_expected_or_not_by_a_checkbox(client, olga, ada):
    client.force_login(olga)
    page = reverse("admin:bots_bot_change", args=[ada.pk])
    assert "Raise an incident when it stops calling" in client.get(page).content.decode()
    client.post(page, {"name": "ada", "kinds": "", "capacity": ""})
    assert Bot.objects.get(name="ada").expected is False
    client.post(reverse("admin:bots_bot_add"), {"name": "carl", "kinds": "", "capacity": ""})
    client.post(reverse("admin:bots_bot_add"), {"name": "dora", "kinds": "", "capacity": "", "expected": "on"})
    assert list(Bot.objects.order_by("name").values_list("name", "expected"))[1:] == [("carl", False), ("dora", True)]
