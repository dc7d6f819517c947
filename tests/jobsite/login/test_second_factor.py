"""A second factor: turned on by the person, asked for at each login, required by a setting."""

import re
import time

import pyotp
import pytest
from django.core.management import CommandError, call_command

from bots.login import second_factor
from bots.login.models import Login, SecondFactor
from tests.jobsite.login.test_password import right

pytestmark = pytest.mark.django_db
CODE, YOURS = "/admin/login/code/", "/admin/your-login/"


def secret_on(response):
    return re.search(r'class="token">([A-Z2-7 ]+)<', response.content.decode())[1].replace(" ", "")


def code_of(secret, steps=0):
    return pyotp.TOTP(secret).at(time.time() + 30 * steps)


def turn_on(client, user):
    """The person turns it on. Returns the secret and the recovery codes."""
    client.force_login(user)
    secret = secret_on(client.get(YOURS))
    response = client.post(YOURS, {"do": "on", "code": code_of(secret, -1)})
    if 'id="codes"' not in response.content.decode():
        # The next half minute began in between.
        response = client.post(YOURS, {"do": "on", "code": code_of(secret, -1)})
    assert "no-store" in response["Cache-Control"]
    codes = re.findall(
        r"[2-9a-z]{4}-[2-9a-z]{4}-[2-9a-z]{4}", response.content.decode().partition('id="codes">')[2].partition("<")[0]
    )
    assert len(codes) == 10
    client.logout()
    return secret, codes


def test_a_code_is_asked_for_after_the_password_and_not_before_it_is_somebody_logged_in(client, olga):
    secret, _ = turn_on(client, olga)
    assert right(client, olga)["Location"] == CODE
    assert client.get("/admin/").status_code == 302
    response = client.post(CODE, {"code": code_of(secret)})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200
    ends = list(Login.objects.order_by("-id").values_list("way", "outcome")[:2])
    assert ends == [("code", "good"), ("password", "code_needed")]


def test_no_code_is_taken_twice(client, olga):
    secret, codes = turn_on(client, olga)
    code = code_of(secret)
    for given in (code, codes[0]):
        right(client, olga)
        assert client.post(CODE, {"code": given}).status_code == 302
        client.logout()
        right(client, olga)
        response = client.post(CODE, {"code": given})
        assert "This code is wrong, or was used before." in response.content.decode()
    assert len(SecondFactor.objects.get().recovery_digests) == 9


def test_a_recovery_code_is_typed_as_one_likes(client, olga):
    _, codes = turn_on(client, olga)
    right(client, olga)
    assert client.post(CODE, {"code": codes[3].replace("-", " ").upper()}).status_code == 302
    assert Login.objects.latest("id").way == "recovery_code"


@pytest.mark.parametrize("code", ["", "000000", "1" * 40, "zz", "\0", "١٢٣٤٥٦", "-1", "' OR 1=1"])
def test_a_wrong_code_lets_nobody_in(client, olga, code):
    turn_on(client, olga)
    right(client, olga)
    assert client.post(CODE, {"code": code}).status_code == 200
    assert client.get("/admin/").status_code == 302


def test_guessing_codes_is_braked_like_guessing_passwords(client, olga):
    secret, _ = turn_on(client, olga)
    right(client, olga)
    for _ in range(5):
        client.post(CODE, {"code": "000000"})
    response = client.post(CODE, {"code": code_of(secret)})
    assert response.status_code == 429
    assert right(client, olga).status_code == 429


def test_a_password_changed_in_between_ends_the_login(client, olga):
    secret, _ = turn_on(client, olga)
    right(client, olga)
    olga.set_password("another long password")
    olga.save()
    assert client.post(CODE, {"code": code_of(secret)})["Location"] == "/admin/login/"


def test_the_code_page_alone_lets_nobody_in(client, olga):
    turn_on(client, olga)
    assert client.get(CODE)["Location"] == "/admin/login/"
    assert client.post(CODE, {"code": "000000"})["Location"] == "/admin/login/"


def test_turning_off_and_new_recovery_codes_need_a_code(client, olga):
    secret, codes = turn_on(client, olga)
    client.force_login(olga)
    client.post(YOURS, {"do": "off", "code": "000000"})
    assert SecondFactor.objects.exists()
    assert codes[0] not in client.post(YOURS, {"do": "codes", "code": codes[1]}).content.decode()
    assert second_factor.check(olga, codes[0]) is None
    client.post(YOURS, {"do": "off", "code": code_of(secret)})
    assert not SecondFactor.objects.exists()


def test_where_it_is_required_it_is_set_up_at_the_next_login(client, olga, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    client.force_login(olga)
    assert client.get("/admin/")["Location"].startswith("/admin/login/")
    client.logout()
    assert right(client, olga)["Location"] == CODE
    secret = secret_on(client.get(CODE))
    assert client.post(CODE, {"code": "000000"}).status_code == 200
    assert "Recovery codes" in client.post(CODE, {"code": code_of(secret)}).content.decode()
    assert client.get("/admin/").status_code == 200


def test_who_lost_it_is_let_in_by_an_administrator_who_never_sees_the_secret(admin_client, client, olga):
    secret, _ = turn_on(client, olga)
    pk = SecondFactor.objects.get().pk
    for url in ("/admin/bots/secondfactor/", f"/admin/bots/secondfactor/{pk}/change/"):
        page = admin_client.get(url).content.decode()
        assert "olga" in page
        assert secret not in page
    admin_client.post(f"/admin/bots/secondfactor/{pk}/delete/", {"post": "yes"})
    assert right(client, olga)["Location"] == "/admin/"


def test_a_command_removes_it_for_the_only_administrator(client, olga):
    turn_on(client, olga)
    call_command("remove_second_factor", "olga")
    assert right(client, olga)["Location"] == "/admin/"
    for name in ("olga", "nobody"):
        with pytest.raises(CommandError):
            call_command("remove_second_factor", name)
