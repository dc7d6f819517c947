"""What goes wrong in the console is a page of the console that says why and what to do, even without a database."""

import pytest
from django.db import InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from psycopg_pool import PoolTimeout

from tests.cast import take_one
from tests.entered import EnteringClient

pytestmark = pytest.mark.django_db


def text(response):
    page = response.content.decode()
    assert "Jobsite</a>" in page
    assert "jobs/console" in page
    assert "default-src 'self'" in response["Content-Security-Policy"]
    return page


@pytest.fixture
def olgas(client, olga):
    client.force_login(olga)
    client.raise_request_exception = False
    return client


def test_an_address_without_a_page_is_404(olgas):
    response = olgas.get("/nothing-here")
    assert response.status_code == 404
    assert "There is no page at this address." in text(response)


def test_a_row_that_does_not_exist_is_named(olgas):
    response = olgas.get("/admin/jobs/job/4711/release/")
    assert response.status_code == 404
    assert "There is no job 4711." in text(response)


def test_a_character_that_no_text_can_have_is_400(olgas):
    response = olgas.get("/admin/jobs/jobkind/%00/change/")
    assert response.status_code == 400
    assert "a character that no text here can have" in text(response)


def test_a_look_up_that_a_list_does_not_offer_is_400(olgas):
    response = olgas.get("/admin/bots/bot/?token_digest=1")
    assert response.status_code == 400
    assert "Filtering by token_digest not allowed" in text(response)


@pytest.mark.parametrize(
    ("path", "form", "needed"),
    [
        ("/admin/jobs/job/{job}/release/", None, "jobs.release_job"),
        ("/admin/bots/bot/{bot}/rotate/", None, "bots.rotate_bot_token"),
        ("/admin/bots/bot/add/", None, "Can add bot” (bots.add_bot)"),
        ("/admin/auth/user/", None, "(auth.view_user) or "),
        ("/admin/bots/bot/", {"action": "pause", "_selected_action": "1"}, "Can pause and resume a bot"),
        ("/admin/jobs/job/", {"action": "cancel_jobs", "_selected_action": "1"}, "jobs.cancel_job"),
    ],
)
def test_who_may_not_learns_which_permission_is_needed(client, vera, ada, path, form, needed):
    lease = take_one(ada)
    client.force_login(vera)
    url = path.format(job=lease.id, bot=ada.pk)
    response = client.get(url) if form is None else client.post(url, form)
    assert response.status_code == 403
    assert needed in text(response)


def test_a_form_of_another_session_is_403(olga):
    client = Client(enforce_csrf_checks=True)
    client.force_login(olga)
    response = client.post("/admin/bots/bot/", {"action": "pause"})
    assert response.status_code == 403
    assert "The form is out of date" in text(response)


@pytest.mark.parametrize("error", [OperationalError("lost"), InterfaceError("closed"), PoolTimeout("full")])
def test_a_lost_database_is_503_on_every_page(olgas, monkeypatch, error):
    def lost(*args, **kwargs):
        raise error

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", lost)
    for url in ("/admin/", "/admin/jobs/job/", "/admin/bots/bot/1/change/", "/admin/nothing-here/"):
        response = olgas.get(url)
        assert response.status_code == 503
        assert response["Retry-After"] == "5"
        assert "The database cannot be reached." in text(response)


def test_a_fault_of_the_program_is_500_with_the_number_of_the_request(olgas, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr("jobs.lists.job_list.page", broken)
    response = olgas.get("/admin/jobs/job/", headers={"X-Request-ID": "abc-123"})
    assert response.status_code == 500
    assert "abc-123" in text(response)


def test_a_host_that_is_not_ours_is_400():
    response = EnteringClient().get("/admin/", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "Bad request" in text(response)


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/admin/logout/", "GET", "POST, OPTIONS"),
        ("/admin/jsi18n/", "POST", "GET, HEAD, OPTIONS"),
        ("/admin/login/", "DELETE", "GET, POST, PUT, HEAD, OPTIONS"),
        ("/", "BREW", "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_a_page_does_not_take_is_405_and_names_those_that_it_takes(olgas, path, method, allowed):
    response = olgas.generic(method, path)
    assert (response.status_code, response["Allow"]) == (405, allowed)
    page = text(response)
    assert f"{method} is not allowed here; use {allowed.replace(', ', ' or ')}." in page
    assert ("press the button" in page) == ("GET" not in allowed)


def test_calls_and_probes_answer_405_with_a_problem(client):
    for path, method, allowed in (("/api/v1/jobs", "DELETE", "POST, GET"), ("/livez", "POST", "GET, HEAD")):
        response = client.generic(method, path)
        assert (response.status_code, response["Content-Type"]) == (405, "application/problem+json")
        assert set(response["Allow"].split(", ")) == set(allowed.split(", "))
        assert (response.json()["code"], response.json()["detail"].split(";")[0]) == (
            "method_not_allowed", f"{method} is not allowed here",
        )  # fmt: skip
