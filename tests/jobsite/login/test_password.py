"""Log in with a password: what is recorded, logged and shown, and what is refused."""

import json
import logging

import pytest

from bots.login.models import Login, Outcome
from jobsite.logs import JsonFormatter

pytestmark = pytest.mark.django_db
URL = "/admin/login/"


def log_in(client, name, password, **headers):
    return client.post(URL, {"username": name, "password": password}, **headers)


def right(client, user, **headers):
    return log_in(client, user.username, f"{user.username} has a long password", **headers)


def outcomes():
    return list(Login.objects.order_by("id").values_list("username", "address", "way", "outcome"))


def test_a_right_password_logs_in_and_is_on_record(client, olga):
    response = client.post(
        f"{URL}?next=/admin/jobs/job/",
        {"username": "olga", "password": "olga has a long password", "next": "/admin/jobs/job/"},
    )
    assert (response.status_code, response["Location"]) == (302, "/admin/jobs/job/")
    assert client.get("/admin/").status_code == 200
    assert outcomes() == [("olga", "127.0.0.1", "password", "good")]


@pytest.mark.parametrize("next_page", ["https://evil.example/", "//evil.example", "", None])
def test_nobody_is_sent_to_another_site(client, olga, next_page):
    form = {"username": "olga", "password": "olga has a long password"} | (
        {} if next_page is None else {"next": next_page}
    )
    assert client.post(URL, form)["Location"] == "/admin/"


def test_a_wrong_password_an_unknown_name_and_a_person_without_the_console_are_failures(client, olga, nora):
    nora.is_staff = False
    nora.save()
    for name, password in (("olga", "wrong"), ("nobody", "wrong"), ("nora", "nora has a long password")):
        response = log_in(client, name, password)
        assert response.status_code == 200
        assert "Please enter the correct username and password" in response.content.decode()
    assert [row[3] for row in outcomes()] == ["failed"] * 3


def test_each_login_is_a_line_of_the_log_without_the_password(client, olga, caplog):
    with caplog.at_level(logging.INFO, "jobsite.login"):
        right(client, olga)
        log_in(client, "olga", "my-wrong-secret")
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records if record.name == "jobsite.login"]
    assert [(line["username"], line["address"], line["outcome"]) for line in lines] == [
        ("olga", "127.0.0.1", "good"), ("olga", "127.0.0.1", "failed"),
    ]  # fmt: skip
    assert "my-wrong-secret" not in caplog.text


def test_after_five_failures_even_the_right_password_is_refused_from_there(client, olga):
    for _ in range(5):
        assert log_in(client, "olga", "wrong").status_code == 200
    response = right(client, olga)
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 900
    assert "Too many failed logins. Try again in 15 minutes." in response.content.decode()
    assert right(client, olga, REMOTE_ADDR="192.0.2.9").status_code == 302


def test_an_unknown_name_is_refused_like_a_known_one(client, olga):
    answers = [[log_in(client, name, "wrong").status_code for _ in range(6)] for name in ("olga", "nobody")]
    assert answers[0] == answers[1] == [200] * 5 + [429]


def test_a_place_that_tries_many_names_is_refused(client, olga):
    for number in range(20):
        log_in(client, f"name{number}", "wrong")
    assert right(client, olga).status_code == 429


def test_a_forwarded_address_counts_behind_a_proxy_only(client, olga, settings):
    headers = {"HTTP_X_FORWARDED_FOR": "198.51.100.1, 198.51.100.2"}
    right(client, olga, **headers)
    settings.BEHIND_PROXY = True
    right(client, olga, **headers)
    assert [row[1] for row in outcomes()] == ["127.0.0.1", "198.51.100.2"]


def test_administrators_see_all_logins_and_nobody_changes_them(admin_client, client, vera, olga):
    log_in(client, "stranger", "wrong", REMOTE_ADDR="192.0.2.66")
    page = admin_client.get("/admin/bots/login/").content.decode()
    assert "stranger" in page
    assert "192.0.2.66" in page
    assert "failed</span>" in page
    assert admin_client.get("/admin/bots/login/add/").status_code == 403
    assert admin_client.post(f"/admin/bots/login/{Login.objects.get().pk}/delete/").status_code == 403
    vera.user_permissions.clear()
    client.force_login(vera)
    assert client.get("/admin/bots/login/").status_code == 403


def test_a_users_page_has_their_last_logins(admin_client, client, olga):
    log_in(client, "olga", "wrong", REMOTE_ADDR="192.0.2.66")
    page = admin_client.get(f"/admin/auth/user/{olga.pk}/change/").content.decode()
    assert "Last logins" in page
    assert "192.0.2.66" in page


def test_people_see_their_own_logins_and_no_others(client, olga):
    log_in(client, "vera", "wrong", REMOTE_ADDR="192.0.2.66")
    right(client, olga)
    page = client.get("/admin/your-login/").content.decode()
    assert "127.0.0.1" in page
    assert "192.0.2.66" not in page


@pytest.mark.parametrize("name", ["\0", "\ud7ff", "x" * 5000, "ol\nga", "olga\u202e", "' OR 1=1 --"])
def test_an_odd_name_is_a_failure_and_no_more(client, name):
    assert log_in(client, name, "wrong").status_code == 200
    assert not Login.objects.exclude(outcome=Outcome.FAILED).exists()
