"""A proxy that authenticates people: its header counts only where settings say so, and creates nobody."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from bots.login.models import Login

ROOT = Path(__file__).resolve().parents[3]
PRODUCTION = {
    "SECRET_KEY": "x" * 50, "DATABASE_URL": "postgres://nobody@localhost/none", "BEHIND_PROXY": "0",
    "DJANGO_SETTINGS_MODULE": "jobsite.settings",
}  # fmt: skip


@pytest.mark.django_db
def test_without_the_setting_the_header_is_not_read(client, olga):
    for name in ("X-Remote-User", "Remote-User"):
        assert client.get("/admin/", headers={name: "olga"}).status_code == 302
    assert not Login.objects.exists()


@pytest.fixture
def behind(settings):
    settings.BEHIND_PROXY, settings.REMOTE_USER_HEADER = True, "X-Remote-User"


@pytest.mark.django_db
@pytest.mark.usefixtures("behind")
def test_who_is_named_is_logged_in_and_out_again_with_the_header(client, olga, vera):
    named = {"X-Remote-User": "olga", "X-Forwarded-For": "192.0.2.7"}
    assert client.get("/admin/", headers=named).status_code == 200
    assert client.get("/admin/", headers={"X-Remote-User": "vera"}).wsgi_request.user == vera
    assert client.get("/admin/").status_code == 302
    assert Login.objects.order_by("id").values_list("username", "address", "outcome").first() == (
        "olga",
        "192.0.2.7",
        "good",
    )


@pytest.mark.django_db
@pytest.mark.usefixtures("behind")
@pytest.mark.parametrize("name", ["nobody", "", "\x00", "olga\n", "x" * 3000, "olga,vera"])
def test_nobody_is_created_and_odd_names_are_nobody(client, olga, name):
    assert client.get("/admin/", headers={"X-Remote-User": name}).status_code == 302
    assert User.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("behind")
def test_the_header_is_no_key_for_the_api(client, olga):
    assert client.get("/api/v1/jobs", headers={"X-Remote-User": "olga"}).status_code == 401


@pytest.mark.parametrize(("env", "fault"), [
    ({"REMOTE_USER_HEADER": "X-Remote-User"}, "REMOTE_USER_HEADER needs BEHIND_PROXY=1"),
    ({"OIDC_ISSUER": "https://id.example.org"}, "OIDC_ISSUER needs OIDC_CLIENT_ID"),
    ({"OIDC_ISSUER": "http://id.example.org", "OIDC_CLIENT_ID": "a", "OIDC_CLIENT_SECRET": "b"}, "must begin"),
])  # fmt: skip
def test_settings_that_would_let_anybody_in_are_refused_at_the_start(env, fault):
    done = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"], cwd=ROOT, capture_output=True, text=True, check=False,
        env=PRODUCTION | env,
    )  # fmt: skip
    assert done.returncode == 1
    assert fault in done.stderr
