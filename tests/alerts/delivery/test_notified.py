"""From the sweep to the outbox: what happens to a bot, and how many messages that makes."""

from datetime import timedelta

import pytest
from django.urls import reverse

from alerts.models import Channel, Delivery
from jobs import lifecycle
from tests.alerts.passing import look, minutes_pass, sweep_and_look, the_one
from tests.cast import bot_named, make_older, take_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops(db):
    return Channel.objects.create(name="ops", way="webhook", address="https://example.org/hook")


def rows():
    return list(Delivery.objects.order_by("pk").values_list("moment", "state"))


def test_fifty_bots_of_one_kind_that_are_stuck_are_one_message(ops):
    for n in range(50):
        make_older(take_one(bot_named(f"bot {n:02}")), 3)
    for _ in range(3):
        sweep_and_look()
    (delivery,) = Delivery.objects.all()
    assert delivery.message["incident"]["title"].startswith("50 bots are stuck on sum jobs: ")
    assert len(delivery.message["bots"]) + delivery.message["more_bots"] == 50


def test_from_stuck_to_worse_to_resolved_each_is_told_once(ops, ada):
    lease = take_one(ada)
    make_older(lease, 3)
    sweep_and_look()
    make_older(lease, 1)
    sweep_and_look()
    lease.heartbeat()
    sweep_and_look()
    make_older(lease, 6)
    sweep_and_look()
    assert rows() == [("opened", 1), ("worse", 2)]
    ada.refresh_from_db()
    lifecycle.see(ada, always=True)
    sweep_and_look()
    minutes_pass(3)
    look()
    look()
    assert rows() == [("opened", 1), ("worse", 2), ("resolved", 3)]


def test_only_after_ten_minutes_counts_from_when_it_came_back(ops, ada):
    ops.after = timedelta(minutes=10)
    ops.save()
    lease = take_one(ada)
    make_older(lease, 3)
    sweep_and_look()
    minutes_pass(20)
    lease.heartbeat()
    sweep_and_look()
    minutes_pass(3)
    look()
    assert the_one().resolved_at is not None
    make_older(lease, 3)
    sweep_and_look()
    incident = the_one()
    assert incident.resolved_at is None
    back = Delivery.objects.get(moment="opened", state__gt=1)
    assert back.due_at == incident.back_at + timedelta(minutes=10)
    assert incident.back_at == incident.changed_at > incident.opened_at


def test_the_page_of_an_incident_says_who_was_told(ops, ada, client, olga):
    client.force_login(olga)
    make_older(take_one(ada), 3)
    sweep_and_look()
    page = reverse("admin:alerts_incident_change", args=[the_one().pk])
    delivery = Delivery.objects.get()
    assert reverse("admin:alerts_delivery_change", args=[delivery.pk]) in client.get(page).content.decode()
    delivery.delete()
    assert "None: no " in client.get(page).content.decode()
