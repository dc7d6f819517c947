"""`manage.py explain JOB`: the same answer as on the job's page, for people and for programs."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = StringIO()
    call_command("explain", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_it_says_where_the_job_is_why_and_what_was_looked_at():
    job = enqueue_one()
    first, why, _, *evidence = run(job.pk).splitlines()
    assert first == f"sum job {job.pk} is pending."
    assert why == "No bot takes jobs of kind sum."
    assert "  kind       not paused" in evidence


def test_as_json_it_is_one_object_with_the_figures(ada):
    lease = take_one(ada)
    said = json.loads(run(lease.id, "--json"))
    assert (said["job"], said["kind"], said["status"]) == (lease.id, "sum", "processing")
    (limits,) = [found for found in said["evidence"] if found["about"] == "limits"]
    assert limits["figures"] == {"start_within": 300.0, "heartbeat_within": 120.0, "run_within": 600.0}


def test_a_job_that_is_not_there_ends_with_exit_code_1():
    with pytest.raises(CommandError, match=r"There is no job 4711\.") as raised:
        run(4711)
    assert raised.value.returncode == 1


@pytest.mark.parametrize("number", ["ada", "-1", "1.5", "9" * 30])
def test_what_is_no_number_of_a_job_is_refused(number):
    with pytest.raises(CommandError, match="is not the number of a job|the following arguments|unrecognized"):
        run(number)


def test_the_jobs_page_says_the_same(client, vera, ada):
    client.force_login(vera)
    job = enqueue_one()
    page = client.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    said = json.loads(run(job.pk, "--json"))
    assert said["why"] in page
    for found in said["evidence"]:
        if found["about"] in ("kind", "bots", "before it", "attempts"):
            assert found["says"].replace("'", "&#x27;") in page
