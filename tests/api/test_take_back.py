"""An act on jobs is taken back by key: at once, or a step with each call where it was done in several."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from bots.audit import Via, Who
from bots.models import AuditEntry
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job
from tests.api.calls import send
from tests.cast import enqueue_one

pytestmark = pytest.mark.django_db


def test_an_act_is_taken_back_with_one_call(client: Client, olga: User, olga_key: str) -> None:
    jobs = [enqueue_one().pk for _ in range(2)]
    lifecycle.cancel(jobs, by=By.operator(olga))
    entry = AuditEntry.objects.get(verb="cancel")
    answer = send(client, olga_key, "POST", f"/audit/{entry.pk}/take_back", {"reason": "the wrong filter"})
    assert answer.json() == {"ids": jobs, "left": 0, "next_cursor": None}
    answer = send(client, olga_key, "POST", f"/audit/{entry.pk}/take_back", {})
    assert answer.json() == {"ids": [], "left": 2, "next_cursor": None}


def test_an_act_in_steps_is_taken_back_a_step_with_each_call(client: Client, olga_key: str) -> None:
    by = By.operator(Who("olga", Via.CONSOLE, act=7))
    jobs = [enqueue_one().pk for _ in range(3)]
    for job in jobs:
        lifecycle.cancel([job], by=by)
    listed = send(client, olga_key, "GET", "/audit?verb=cancel").json()["audit"]
    assert [entry["act"] for entry in listed] == [7, 7, 7]
    path, cursor, done = f"/audit/{listed[0]['id']}/take_back", None, []
    while True:
        answer = send(client, olga_key, "POST", path, {"cursor": cursor}).json()
        done.append(answer["ids"])
        if (cursor := answer["next_cursor"]) is None:
            break
    assert done == [[job] for job in jobs]
    assert Job.objects.pending().count() == 3
    answer = send(client, olga_key, "POST", path, {"cursor": str(10**17)}).json()
    assert answer == {"ids": [], "left": 0, "next_cursor": None}
