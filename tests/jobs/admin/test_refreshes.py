"""What a page costs that refreshes itself while somebody looks at it: few statements, as many whatever it shows."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job
from jobs.sweep.run import sweep
from tests.alerts.passing import an_incident
from tests.cast import Lease, bot_named, enqueue_one, make_older, take_one
from tests.jobs.error_groups.groups import an_error_group

pytestmark = pytest.mark.django_db

#: Who asks: the session, the user, and the user's permissions. They are read at each request, so that a person who is
#: logged out or loses a permission sees nothing more.
WHO = 3
#: What is asked beside that. Jobs: the ids by an index, then the rows; failed ones have error groups as well. Bots: a
#: count, the rows, their quarantines, what they hold, slots, the last day. Kinds: the rows, what waits, the oldest, the
#: last hour, run times, bots. History: an edge and the lines, of events and of entries.
LISTS = {
    "jobs_job": 3, "jobs_job?view=stuck": 2, "jobs_job?view=held": 2, "jobs_job?view=pending": 2,
    "jobs_job?view=failed": 3, "jobs_job?view=scheduled": 2, "jobs_errorgroup": 3, "bots_bot": 6, "jobs_jobkind": 6,
    "alerts_incident": 2, "jobs_jobevent": 4,
}  # fmt: skip
#: A job: itself, its history, why it is where it is, and what can be done. A bot: itself and its quarantines, its jobs,
#: instances, events and records. An incident: itself, what is stuck, its bots, and what happened.
PAGES = {"pending": 7, "held": 6, "stuck": 6, "failed": 5, "succeeded": 4, "bot": 8, "incident": 8}


@pytest.fixture
def looks(client: Client, olga: User) -> Callable[[str], int]:
    """`looks(address)`: how many statements a refresh of the page asks for."""
    client.force_login(olga)

    def asked(address: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address, headers={"HX-Request": "true"})
        assert answer.status_code == 200
        return len(queries) - WHO

    return asked


def busy(bots: list[Bot], olga: User) -> dict[str, Lease]:
    """Jobs in every state, as many of each bot; returns those of the last one, by their state."""
    for bot in bots:
        leases = {state: take_one(bot) for state in ("pending", "failed", "succeeded", "held", "stuck")}
        lifecycle.release([leases["pending"].id], by=By.operator(olga))
        Job.objects.pending().update(priority=0)
        leases["failed"].fail(retry=False)
        leases["succeeded"].complete(1)
        make_older(leases["stuck"], 5)
        enqueue_one(delay=3600)
    sweep()
    return leases


def test_a_list_asks_as_little_for_many_rows_as_for_few(looks: Callable[[str], int], ada: Bot, olga: User) -> None:
    def asked() -> dict[str, int]:
        lists = {name: name.partition("?") for name in LISTS}
        return {
            name: looks(reverse(f"admin:{page}_changelist") + mark + query)
            for name, (page, mark, query) in lists.items()
        }

    busy([ada], olga)
    asked()
    an_error_group()
    assert asked() == LISTS
    busy([bot_named(f"bot-{n}") for n in range(4)], olga)
    assert asked() == LISTS


def test_a_page_asks_as_little_of_a_busy_site_as_of_a_quiet_one(
    looks: Callable[[str], int], ada: Bot, olga: User
) -> None:
    def asked() -> dict[str, int]:
        jobs = {state: reverse("admin:jobs_job_change", args=[lease.id]) for state, lease in leases.items()}
        others = {
            "bot": reverse("admin:bots_bot_change", args=[ada.pk]),
            "incident": reverse("admin:alerts_incident_change", args=[incident.pk]),
        }
        return {name: looks(address) for name, address in (jobs | others).items()}

    leases = busy([ada], olga)
    incident = an_incident()
    asked()
    assert asked() == PAGES
    busy([bot_named(f"bot-{n}") for n in range(4)], olga)
    assert asked() == PAGES


def test_home_asks_for_each_of_its_parts_once(looks: Callable[[str], int], ada: Bot, olga: User) -> None:
    home = reverse("admin:index")
    busy([ada], olga)
    looks(home)
    # What is stuck and the kinds' limits, ill bots, throttles, the fleet, statuses, the oldest jobs, interventions,
    # charts, incidents, the last sweep, and whether notifications are held back.
    assert looks(home) == 12
    busy([bot_named(f"bot-{n}") for n in range(4)], olga)
    assert looks(home) == 12
