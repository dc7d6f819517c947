"""What people do to logins is in the audit log: second factors, recovery codes, identities, passwords and groups."""

import time

import pyotp
import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import OperationalError

from bots.login import identities, second_factor
from bots.login.identities import NotAllowed
from bots.login.models import Identity, SecondFactor
from bots.models import AuditEntry

pytestmark = pytest.mark.django_db
YOURS = "/admin/your-login/"
CLAIMS = {"iss": "https://id.example.org", "sub": "s-1", "preferred_username": "zoe", "groups": ["ops"]}


def entries(after=0):
    """Each entry, without the first `after`."""
    return list(AuditEntry.objects.order_by("id").values_list("verb", "object_type", "by", "via"))[after:]


def turned_on(user):
    """The person's secret, their recovery codes, and how many entries there are then."""
    secret = second_factor.new_secret()

    def turn_on():
        # By the code of the half minute before, so that the present one is not used up.
        return second_factor.turn_on(user, secret, pyotp.TOTP(secret).at(time.time() - 30))

    # The next half minute may begin in between.
    codes = turn_on() or turn_on()
    return secret, codes, AuditEntry.objects.count()


def test_turning_it_on_is_an_act_of_the_person_and_a_wrong_code_is_none(client, olga):
    client.force_login(olga)
    client.get(YOURS)
    secret = client.session["login_new_secret"]
    client.post(YOURS, {"do": "on", "code": "000000"})
    assert entries() == []
    client.post(YOURS, {"do": "on", "code": pyotp.TOTP(secret).at(time.time())})
    (entry,) = AuditEntry.objects.all()
    assert entries() == [("create", "second_factor", "olga", "console")]
    assert (entry.object_name, entry.after) == ("second factor of olga", {"recovery_codes": 10})


def test_setting_it_up_at_a_login_is_an_act_of_the_person(client, olga, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    olga.set_password("a long enough secret")
    olga.save()
    form = "username=olga&password=a+long+enough+secret"
    client.post("/admin/login/", form, content_type="application/x-www-form-urlencoded")
    client.get("/admin/login/code/")
    code = pyotp.TOTP(client.session["login_new_secret"]).at(time.time())
    client.post("/admin/login/code/", f"code={code}", content_type="application/x-www-form-urlencoded")
    assert entries() == [("create", "second_factor", "olga", "console")]


def test_new_recovery_codes_are_recorded_without_a_code(client, olga):
    _, codes, count = turned_on(olga)
    client.force_login(olga)
    client.post(YOURS, {"do": "codes", "code": codes[0]})
    assert entries(count) == [("rotate", "second_factor", "olga", "console")]
    entry = AuditEntry.objects.latest("id")
    assert (entry.before, entry.after) == ({"recovery_codes": 9}, {"recovery_codes": 10})


def test_turning_it_off_is_recorded_whichever_way_it_is_done(client, admin_client, olga):
    secret, _, count = turned_on(olga)
    client.force_login(olga)
    client.post(YOURS, {"do": "off", "code": pyotp.TOTP(secret).at(time.time())})
    assert entries(count) == [("delete", "second_factor", "olga", "console")]
    _, _, count = turned_on(olga)
    call_command("remove_second_factor", "olga")
    assert entries(count) == [("delete", "second_factor", "", "command")]
    with pytest.raises(CommandError):
        call_command("remove_second_factor", "olga")
    assert len(entries(count)) == 1
    _, _, count = turned_on(olga)
    pk = SecondFactor.objects.get().pk
    admin_client.post(f"/admin/bots/secondfactor/{pk}/delete/", {"post": "yes"})
    assert entries(count) == [("delete", "second_factor", "admin", "console")]
    assert not SecondFactor.objects.exists()


def test_it_is_turned_off_with_its_entry_or_not_at_all(olga, monkeypatch):
    turned_on(olga)

    def fail(*_, **__):
        raise OperationalError("gone")

    monkeypatch.setattr(AuditEntry.objects, "bulk_create", fail)
    with pytest.raises(OperationalError):
        call_command("remove_second_factor", "olga")
    assert second_factor.has_one(olga)


def test_its_page_in_the_admin_has_its_history(admin_client, olga):
    turned_on(olga)
    second_factor.new_codes(olga)
    response = admin_client.get(f"/admin/bots/secondfactor/{SecondFactor.objects.get().pk}/history/")
    assert [entry.verb for entry in response.context["entries"]] == ["rotate", "create"]


def test_changing_ones_own_password_is_recorded_without_it(client, olga):
    olga.set_password("a long enough secret")
    olga.save()
    client.force_login(olga)
    form = {"old_password": "wrong", "new_password1": "another long secret", "new_password2": "another long secret"}
    assert client.post("/admin/password_change/", form).status_code == 200
    assert entries() == []
    assert client.post("/admin/password_change/", form | {"old_password": "a long enough secret"}).status_code == 302
    assert entries() == [("change", "user", "olga", "console")]
    assert "secret" not in str(list(AuditEntry.objects.values()))


def test_connecting_single_sign_on_is_recorded_with_who_one_is_there(olga):
    identities.connect(olga, CLAIMS)
    (entry,) = AuditEntry.objects.all()
    assert entries() == [("create", "identity", "olga", "console")]
    assert entry.after == {"user": "olga", "issuer": "https://id.example.org", "subject": "s-1"}
    identities.connect(olga, CLAIMS | {"sub": "s-2"})
    assert [entry[:3] for entry in entries()[1:]] == [("delete", "identity", "olga"), ("create", "identity", "olga")]
    with pytest.raises(NotAllowed):
        identities.connect(User.objects.create(username="nora"), CLAIMS | {"sub": "s-2"})
    assert len(entries()) == 3


def test_what_the_provider_gives_and_takes_is_recorded_and_a_login_that_changes_nothing_is_not(settings):
    settings.OIDC_GROUPS = {"ops": "operators"}
    Group.objects.create(name="operators")
    identities.person_of(CLAIMS)
    assert [entry[:3] for entry in entries()] == [
        ("create", "user", "zoe"), ("create", "identity", "zoe"), ("change", "user", "zoe"),
    ]  # fmt: skip
    last = AuditEntry.objects.latest("id")
    assert (last.before, last.after, last.reason) == (
        {"groups": [], "is_staff": False}, {"groups": ["operators"], "is_staff": True}, "single sign-on",
    )  # fmt: skip
    identities.person_of(CLAIMS)
    assert len(entries()) == 3
    identities.person_of(CLAIMS | {"groups": []})
    last = AuditEntry.objects.latest("id")
    assert (last.before["groups"], last.after["groups"]) == (["operators"], [])
    assert Identity.objects.count() == 1
