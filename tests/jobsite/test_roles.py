"""Roles are groups that `migrate` keeps: it adds what is new and never takes back what a person changed."""

import itertools
from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client

from bots.models import RoleGrant
from bots.people import named
from jobsite import roles

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_roles_yet(db: None) -> None:
    RoleGrant.objects.all().delete()
    Group.objects.all().delete()


def given(role: str) -> set[str]:
    return named(Group.objects.get(name=role).permissions.all())


def take(role: str, permission: str) -> None:
    app, _, codename = permission.partition(".")
    taken = Permission.objects.get(content_type__app_label=app, codename=codename)
    Group.objects.get(name=role).permissions.remove(taken)


def test_migrate_creates_a_group_for_each_role_with_its_permissions() -> None:
    call_command("migrate", stdout=StringIO())
    for role, permissions in roles.ROLES.items():
        assert given(role) == set(permissions)


def test_each_role_has_what_the_one_before_it_has() -> None:
    ladder = [set(permissions) for permissions in roles.ROLES.values()]
    assert list(roles.ROLES) == ["viewer", "operator", "manager", "administrator"]
    assert all(lower < higher for lower, higher in itertools.pairwise(ladder))


def test_what_a_person_took_does_not_come_back_and_what_they_gave_stays() -> None:
    roles.apply()
    take("operator", "jobs.cancel_job")
    Group.objects.get(name="viewer").permissions.add(Permission.objects.get(codename="view_payload"))
    roles.apply()
    assert given("operator") == set(roles.ROLES["operator"]) - {"jobs.cancel_job"}
    assert given("viewer") == {*roles.ROLES["viewer"], "jobs.view_payload"}


def test_a_permission_of_a_later_version_comes_to_a_role_that_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = roles.ROLES["viewer"]
    monkeypatch.setitem(roles.ROLES, "viewer", now[:-1])
    roles.apply()
    take("viewer", now[0])
    monkeypatch.setitem(roles.ROLES, "viewer", now)
    roles.apply()
    assert given("viewer") == set(now[1:])


def test_a_group_that_was_deleted_or_renamed_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    roles.apply()
    Group.objects.get(name="operator").delete()
    Group.objects.filter(name="viewer").update(name="lookers")
    now = roles.ROLES["viewer"]
    monkeypatch.setitem(roles.ROLES, "viewer", (*now, "alerts.view_channel"))
    roles.apply()
    assert set(Group.objects.values_list("name", flat=True)) == {"lookers", "manager", "administrator"}
    # It is the same group under another name.
    assert "alerts.view_channel" in given("lookers")


def test_a_persons_own_group_of_that_name_is_left_alone() -> None:
    Group.objects.create(name="operator")
    out = StringIO()
    call_command("migrate", stdout=out)
    assert "There is a group 'operator' already" in out.getvalue()
    call_command("migrate", stdout=StringIO())
    assert given("operator") == set()
    assert given("manager") == set(roles.ROLES["manager"])


def test_every_permission_is_in_a_role_or_has_nothing_to_allow() -> None:
    ours = named(Permission.objects.filter(content_type__app_label__in=["jobs", "bots", "alerts", "auth"]))
    #: Django makes these for every model. No page and no call asks for them.
    unused = {name for name in ours - set(roles.ROLES["administrator"]) if name.split(".")[1].split("_")[0] in DEFAULTS}
    assert ours - unused == set(roles.ROLES["administrator"])
    assert not {name for name in unused if name.endswith(("_payload", "_auditentry"))}


DEFAULTS = {"add", "change", "delete", "view"}


def test_an_administrator_cannot_become_a_superuser_or_touch_one(client: Client, admin_user: User) -> None:
    roles.apply()
    adam = User.objects.create_user("adam", is_staff=True)
    adam.groups.set([Group.objects.get(name="administrator")])
    client.force_login(adam)
    form = {"username": "adam", "is_superuser": "on", "is_staff": "on", "is_active": "on",
            "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}  # fmt: skip
    client.post(f"/admin/auth/user/{adam.pk}/change/", form)
    adam.refresh_from_db()
    assert not adam.is_superuser
    for page in ("change/", "password/", "delete/"):
        answer = client.post(f"/admin/auth/user/{admin_user.pk}/{page}", form | {"post": "yes"})
        assert answer.status_code == 403, page
    ticked = {"action": "delete_selected", "_selected_action": [admin_user.pk], "post": "yes"}
    client.post("/admin/auth/user/", ticked)
    assert User.objects.filter(pk=admin_user.pk).exists()
    # Nor does anybody give what they lack.
    extra = Permission.objects.get(codename="delete_session")
    client.post(f"/admin/auth/user/{adam.pk}/change/", form | {"user_permissions": [extra.pk]})
    assert not adam.user_permissions.filter(pk=extra.pk).exists()


def test_the_form_of_a_person_has_the_words_of_the_docs(client: Client, admin_user: User) -> None:
    client.force_login(admin_user)
    html = client.get(f"/admin/auth/user/{admin_user.pk}/change/").content.decode()
    for words in ("Roles:", "Further permissions:", "May log in to the console."):
        assert words in html
    assert "Groups:" not in html
