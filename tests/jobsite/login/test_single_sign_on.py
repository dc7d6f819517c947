"""Single sign-on with a real provider: who gets in, with which rights, and which of its answers are refused."""

from urllib.parse import urlsplit

import httpx
import pytest
from django.contrib.auth.models import Group, User

from bots.login.models import Identity, Login
from tests.jobsite.login.provider import OTHER_KEY, a_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(settings):
    with a_provider() as provider:
        settings.OIDC_ISSUER = provider.issuer
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = "jobsite", "s3cret-of-jobsite"
        settings.OIDC_GROUPS = {"ops": "operators"}
        Group.objects.create(name="operators")
        yield provider


def go(client, query=""):
    """Go to the provider and back, as a browser does. Returns the last answer."""
    there = client.get(f"/admin/login/sso/{query}")
    back = urlsplit(httpx.get(there["Location"]).headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def test_a_new_person_whose_group_is_mapped_gets_in_with_its_rights(client, provider):
    provider.claims["groups"] = ["ops", "others"]
    assert go(client, "?next=/admin/jobs/job/")["Location"] == "/admin/jobs/job/"
    user = User.objects.get(username="zoe")
    assert (user.is_staff, user.is_superuser, user.has_usable_password()) == (True, False, False)
    assert list(user.groups.values_list("name", flat=True)) == ["operators"]
    assert client.get("/admin/").status_code == 200
    assert Login.objects.get().way == "sso"


def test_a_new_person_without_a_mapped_group_is_on_record_and_does_not_get_in(client, provider):
    response = client.get(go(client)["Location"])
    assert "You (zoe) have no rights here yet" in response.content.decode()
    assert not User.objects.get(username="zoe").is_staff
    assert client.get("/admin/").status_code == 302
    assert Login.objects.get().outcome == "failed"


def test_a_group_that_the_provider_takes_away_is_taken_away_here_and_no_other(client, provider):
    provider.claims["groups"] = ["ops"]
    go(client)
    user = User.objects.get(username="zoe")
    user.groups.add(Group.objects.create(name="by hand"))
    provider.claims["groups"] = []
    go(client)
    assert list(user.groups.values_list("name", flat=True)) == ["by hand"]


def test_a_name_that_somebody_here_has_is_not_taken_over(client, olga, provider):
    provider.claims |= {"preferred_username": "olga", "groups": ["ops"]}
    response = client.get(go(client)["Location"])
    assert "There is a person called olga here already." in response.content.decode()
    assert client.get("/admin/").status_code == 302
    assert not Identity.objects.exists()


def test_who_is_logged_in_connects_their_identity_and_may_be_renamed_there(client, olga, provider):
    client.force_login(olga)
    assert go(client, "?connect&next=/admin/your-login/")["Location"] == "/admin/your-login/"
    client.logout()
    provider.claims["preferred_username"] = "olga.renamed"
    go(client)
    assert client.get("/admin/").wsgi_request.user == olga


def test_somebody_who_is_not_active_does_not_get_in(client, olga, provider):
    Identity.objects.create(user=olga, issuer=provider.issuer, subject="s-1")
    User.objects.update(is_active=False)
    go(client)
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("wrong", [{"aud": "another"}, {"aud": "another", "azp": "jobsite"}, {"iss": "https://evil.example"},
                                   {"nonce": "old"}, {"exp": 1_000_000_000}, {"sub": None}])  # fmt: skip
def test_an_answer_for_another_or_of_another_time_is_refused(client, provider, wrong):
    provider.claims["groups"] = ["ops"]
    provider.wrong = wrong
    assert "failed. Try again." in client.get(go(client)["Location"]).content.decode()
    assert not User.objects.exists()


def test_an_answer_signed_by_another_is_refused(client, provider):
    provider.key = OTHER_KEY
    go(client)
    assert not User.objects.exists()


@pytest.mark.parametrize("query", ["", "?code=code0&state=zz", "?error=access_denied", "?code=%00", "?state=%FF"])
def test_an_answer_that_nobody_asked_for_is_refused(client, provider, query):
    assert client.get(f"/admin/login/sso/done/{query}").status_code in {302, 400}
    assert client.get("/admin/").status_code == 302


def test_an_answer_to_another_browser_is_refused(client, provider):
    provider.claims["groups"] = ["ops"]
    there = client.get("/admin/login/sso/")
    back = urlsplit(httpx.get(there["Location"]).headers["Location"])
    other = type(client)()
    other.get(f"{back.path}?{back.query}")
    assert other.get("/admin/").status_code == 302


def test_a_provider_that_does_not_answer_is_a_message(client, settings, unused_port):
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = f"http://127.0.0.1:{unused_port}", "jobsite"
    response = client.get("/admin/login/sso/", follow=True)
    assert "Single sign-on failed. Try again." in response.content.decode()


def test_without_a_provider_there_is_no_such_page(client):
    assert client.get("/admin/login/sso/").status_code == 404
    assert client.get("/admin/login/sso/done/").status_code == 404
    assert "single sign-on" not in client.get("/admin/login/").content.decode()
