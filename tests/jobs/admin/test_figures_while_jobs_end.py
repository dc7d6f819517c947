"""The figures of a page that asks for a confirmation are those of one moment, while jobs end beside."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from bots.models import Bot
from jobs.models import Job
from tests.cast import Lease, take_one
from tests.race import racers

pytestmark = pytest.mark.django_db(transaction=True)

LIST = reverse("admin:jobs_job_changelist")


class Ending:
    """Between two statements of the page that read jobs, a bot completes one of its jobs on another connection."""

    def __init__(self, leases: list[Lease], race: Any) -> None:
        self.left, self.race, self.counts = list(leases), race, [Job.objects.held().count()]

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if "jobs_job" in sql and self.left:
            self.race.go(self.left.pop(0).complete).result()
            self.counts.append(self.counts[0] - (len(self.counts)))
        return result


@pytest.fixture
def ending(client: Client, olga: Any, ada: Bot) -> Iterator[tuple[Client, list[Lease], Ending]]:
    client.force_login(olga)
    leases = [take_one(ada) for _ in range(30)]
    with racers() as race:
        watch = Ending(leases[:20], race)
        with connection.execute_wrapper(watch):
            yield client, leases, watch


def number(pattern: str, html: str) -> int:
    found = re.search(pattern, html)
    return int(found[1]) if found else 0


def test_of_ticked_jobs_each_is_changed_or_skipped(ending: Any) -> None:
    client, leases, watch = ending
    form = {"action": "release_jobs", "_selected_action": [lease.id for lease in leases]}
    html = client.post(LIST, form).content.decode()
    doing = number(r"Release: (\d+) jobs\?", html)
    # The title, the button, and with those that are skipped all that were ticked: as SQL counted them at one moment.
    assert number(r'value="Release\s+(\d+) jobs"', html) == doing
    assert doing + number(r"Skipped: (\d+)", html) == len(leases)
    assert doing in watch.counts
    assert html.split('id="affected"')[1].count('<th scope="row">') == doing
    assert len(watch.counts) > 3


def test_all_that_match_are_as_many_as_sql_counts(ending: Any) -> None:
    client, _, watch = ending
    html = client.post(f"{LIST}?view=held", {"action": "release_jobs", "select_across": "1"}).content.decode()
    assert number(r"(\d+) match now", html) in watch.counts
    done = client.post(
        f"{LIST}?view=held", {"action": "release_jobs", "select_across": "1", "confirmed": "yes"}, follow=True
    ).content.decode()
    # What the outcome has is what happened, however many had ended by then.
    assert number(r"Released (\d+) jobs", done) == Job.objects.pending().count()
