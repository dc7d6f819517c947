"""Every act of a person is in the audit log: each call of operators, and each action and form of the admin."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from alerts.incidents import reconcile
from alerts.models import Channel, Delivery, Incident
from alerts.states import DeliveryStatus, Moment
from bots import roster
from bots.login.models import Login, SecondFactor
from bots.models import ApiKey, AuditEntry, Bot
from jobs import lifecycle
from jobs.models import ErrorGroup, Job, JobEvent, JobKind, Schedule
from jobs.stats.models import JobRollup
from tests.alerts.passing import an_incident
from tests.api.calls import CALLS, Call, send
from tests.api.conftest import places  # noqa: F401  a fixture
from tests.cast import bot_named, enqueue_one, put_in_quarantine, take_one
from tests.far_side import a_channel
from tests.jobs.error_groups.groups import an_error_group

pytestmark = pytest.mark.django_db

#: Producers' calls. A job is its own record, and there may be thousands a second.
PRODUCERS = {"POST /jobs", "POST /jobs/bulk"}
#: It changes nothing.
PREVIEW = {"POST /schedules/preview"}
ACTS = [call for call in CALLS if call.needs and call.method != "GET" and str(call) not in PRODUCERS | PREVIEW]


@pytest.mark.parametrize("call", ACTS, ids=str)
def test_every_call_of_an_operator_that_changes_something_is_recorded(
    client: Client,
    olga: User,
    request: pytest.FixtureRequest,
    call: Call,
) -> None:
    ids = request.getfixturevalue("places")[call.about]
    Bot.objects.update(paused=call.path.endswith("/resume"))
    Schedule.objects.update(paused=call.path.endswith("/resume"))
    key, text = roster.create_key(olga)
    before = AuditEntry.objects.count()
    last = JobEvent.objects.latest("pk").pk
    answer = send(client, text, call.method, call.path.format(**ids), call.body)
    assert answer.status_code == call.status
    entries = list(AuditEntry.objects.order_by("id"))[before:]
    assert entries
    for entry in entries:
        assert (entry.by, entry.via, entry.key) == ("olga", "api", key.prefix)
        assert entry.request_id == answer["X-Request-ID"]
    made = JobEvent.objects.filter(actor="operator", pk__gt=last)
    assert set(made.values_list("audit", flat=True)) <= {entry.pk for entry in entries}


# --- The admin ---------------------------------------------------------------------------------------------------


def a_retried_delivery() -> Delivery:
    fields = {"moment": Moment.OPENED, "state": 1, "status": DeliveryStatus.GIVEN_UP}
    return Delivery.objects.create(channel=a_channel("http://127.0.0.1/"), incident=an_incident(), **fields)


def a_failed_job() -> Job:
    lease = take_one(bot_named("carl"))
    lease.fail(retry=False)
    return lease.job


def a_late_job() -> Job:
    from jobs import lifecycle
    from jobs.lifecycle import SWEEP

    lease = take_one(bot_named("carl"))
    lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    lease.complete(result=1)
    return lease.job


def held_job() -> Job:
    return take_one(bot_named("carl")).job


def a_bot(**fields: Any) -> Callable[[], Bot]:
    def make() -> Bot:
        bot = bot_named("carl")
        Bot.objects.filter(pk=bot.pk).update(**fields)
        return bot

    return make


def a_bot_with_a_job() -> Bot:
    return take_one(bot_named("carl")).bot


def a_key() -> ApiKey:
    return roster.create_key(User.objects.create_user("carol"))[0]


def a_bot_in_quarantine() -> Bot:
    bot = a_bot()()
    put_in_quarantine(bot)
    return bot


def a_second_factor() -> SecondFactor:
    return SecondFactor.objects.create(user=User.objects.create_user("carol"), secret="JBSWY3DPEHPK3PXP")


def a_throttled_kind() -> JobKind:
    kind = JobKind.objects.create(name="mail")
    lifecycle.throttle("mail", "", 60, by=lifecycle.SWEEP)
    return kind


def a_schedule(**fields: Any) -> Callable[[], Schedule]:
    def make() -> Schedule:
        given = {"name": "nightly", "kind": "mail", "every": timedelta(minutes=1), "next_at": "2100-01-01T00:00Z"}
        return Schedule.objects.create(**(given | fields))

    return make


def an_ignored_error_group() -> ErrorGroup:
    group = an_error_group()
    ErrorGroup.objects.update(status="ignored")
    return group


#: What each action is tried on, by its model and name.
ACTIONS: dict[tuple[type, str], Callable[[], Any]] = {
    (Job, "release_jobs"): held_job, (Job, "retry_jobs"): a_failed_job, (Job, "cancel_jobs"): enqueue_one,
    (Job, "prioritise_jobs"): enqueue_one, (Job, "accept_jobs"): a_late_job,
    (Bot, "pause"): a_bot(), (Bot, "resume"): a_bot(paused=True), (Bot, "revoke_tokens"): a_bot(),
    (Bot, "clear_quarantine"): a_bot_in_quarantine, (Bot, "restart"): a_bot(),
    (Bot, "release_held"): a_bot_with_a_job,
    (ApiKey, "revoke"): a_key,
    (JobKind, "pause"): lambda: JobKind.objects.create(name="mail"),
    (JobKind, "resume"): lambda: JobKind.objects.create(name="mail", paused=True),
    (JobKind, "lift_throttles"): a_throttled_kind,
    (Schedule, "run_now"): a_schedule(), (Schedule, "skip_next"): a_schedule(), (Schedule, "pause"): a_schedule(),
    (Schedule, "resume"): a_schedule(paused=True), (Schedule, "delete_selected"): a_schedule(),
    (ErrorGroup, "resolve"): an_error_group, (ErrorGroup, "ignore"): an_error_group,
    (ErrorGroup, "reopen"): an_ignored_error_group,
    (Incident, "acknowledge"): an_incident,
    (Delivery, "retry"): a_retried_delivery,
    (Channel, "delete_selected"): lambda: a_channel("http://127.0.0.1/"),
    (User, "delete_selected"): lambda: User.objects.create_user("carol"),
    (Group, "delete_selected"): lambda: Group.objects.create(name="night shift"),
    (SecondFactor, "delete_selected"): a_second_factor,
}  # fmt: skip


def test_every_action_of_the_admin_is_tried_here(rf: Any, admin_user: User) -> None:
    request = rf.get("/")
    request.user = admin_user
    there = {(model, name) for model, page in admin.site._registry.items() for name in page.get_actions(request)}
    assert there == set(ACTIONS)


@pytest.mark.parametrize(("model", "name"), ACTIONS, ids=lambda value: getattr(value, "__name__", value))
def test_every_action_of_the_admin_is_recorded(admin_client: Client, model: type, name: str) -> None:
    one = ACTIONS[model, name]()
    before = AuditEntry.objects.count()
    form = {"action": name, "_selected_action": [one.pk], "confirmed": "yes", "post": "yes", "priority": "7"}
    answer = admin_client.post(reverse(f"admin:{one._meta.app_label}_{one._meta.model_name}_changelist"), form)
    assert answer.status_code == 302
    entries = list(AuditEntry.objects.order_by("id"))[before:]
    assert entries
    assert {(entry.by, entry.via) for entry in entries} == {("admin", "console")}


_CHANNEL = {
    "name": "chat", "way": "webhook", "address": "https://8.8.8.8/x", "enabled": "on", "min_severity": "warning",
    "kinds": "", "bots": "", "after": "0:00:00", "again_every": "", "quiet_from": "", "quiet_until": "",
}  # fmt: skip
_KIND = {
    "name": "mail", "max_attempts": "3", "backoff": "0:00:10", "start_within": "0:05:00", "heartbeat_within": "0:02:00",
    "run_within": "", "when_silent": "release", "when_overdue": "flag", "wait_within": "", "keep_for": "30 00:00:00",
    "rate_period": "0:01:00", "fair": "on",
}  # fmt: skip
_SCHEDULE = {
    "name": "nightly", "kind": "mail", "payload": "{}", "priority": "0", "key": "", "cron": "", "every": "0:01:00",
    "time_zone": "UTC", "overlap": "skip", "catch_up": "last", "catch_up_within": "1:00:00", "starts_at": "",
    "ends_at": "",
}  # fmt: skip
_PERSON = {"usable_password": "true", "password1": "a long enough secret", "password2": "a long enough secret"}
#: The form that adds one, by model.
ADDING: dict[type, Callable[[], dict[str, Any]]] = {
    Job: lambda: {"kind": JobKind.objects.create(name="mail").pk, "payload": "{}", "priority": "0"},
    JobKind: lambda: _KIND,
    Schedule: lambda: _SCHEDULE,
    Bot: lambda: {"name": "carl", "kinds": "", "expected": "on"},
    ApiKey: lambda: {"user": User.objects.get(username="admin").pk, "name": "laptop"},
    Channel: lambda: _CHANNEL,
    User: lambda: {"username": "carol", **_PERSON},
    Group: lambda: {"name": "night shift", "permissions": []},
}
#: The form that changes one, by model.
CHANGING: dict[type, tuple[Callable[[], Any], dict[str, Any]]] = {
    JobKind: (lambda: JobKind.objects.create(name="mail"), _KIND | {"max_attempts": "5"}),
    Schedule: (a_schedule(), _SCHEDULE | {"priority": "5"}),
    Bot: (a_bot(), {"kinds": "sum", "expected": "on"}),
    Channel: (lambda: a_channel("http://127.0.0.1/"), _CHANNEL | {"name": "renamed"}),
    Group: (lambda: Group.objects.create(name="night shift"), {"name": "day shift", "permissions": []}),
    User: (
        lambda: User.objects.create_user("carol"),
        {"username": "carol", "email": "c@example.org", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"},
    ),
}
#: What is only read.
READ_ONLY = {AuditEntry, Delivery, ErrorGroup, Incident, JobEvent, JobRollup, Login, SecondFactor}


def test_every_form_of_the_admin_is_tried_here(rf: Any, admin_user: User) -> None:
    request = rf.get("/")
    request.user = admin_user
    pages = admin.site._registry.items()
    assert {model for model, page in pages if page.has_add_permission(request)} == set(ADDING)
    assert {model for model, page in pages if page.has_change_permission(request)} == set(CHANGING)
    assert set(admin.site._registry) <= {*ADDING, *READ_ONLY}


@pytest.mark.parametrize("model", ADDING, ids=lambda model: model.__name__)
def test_every_addition_by_form_is_recorded(admin_client: Client, model: Any) -> None:
    form = ADDING[model]()
    answer = admin_client.post(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add"), form)
    assert answer.status_code in (200, 302)
    (entry,) = AuditEntry.objects.all()
    assert (entry.by, entry.via, bool(entry.after)) == ("admin", "console", True)
    assert "a long enough secret" not in str(entry.after) and "8.8.8.8/x" not in str(entry.after)


@pytest.mark.parametrize("model", CHANGING, ids=lambda model: model.__name__)
def test_every_change_by_form_is_recorded_with_what_was_before(admin_client: Client, model: Any) -> None:
    make, form = CHANGING[model]
    one = make()
    first = AuditEntry.objects.count()
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[one.pk])
    assert admin_client.post(url, form).status_code == 302
    (entry,) = list(AuditEntry.objects.order_by("id"))[first:]
    assert (entry.verb, entry.by, entry.object_id) == ("change", "admin", str(one.pk))
    assert entry.before.keys() == entry.after.keys() and entry.before != entry.after
    # The same form once more changes nothing.
    admin_client.post(url, form)
    assert AuditEntry.objects.count() == first + 1 or model is Channel


def test_pages_with_a_button_of_their_own_are_recorded(admin_client: Client, olga: User, monkeypatch: Any) -> None:
    bot, channel = bot_named("carl"), a_channel("http://127.0.0.1/")
    job = held_job_of(bot)
    pages = {
        reverse("admin:bots_bot_rotate", args=[bot.pk]): "rotate",
        reverse("admin:alerts_channel_secret", args=[channel.pk]): "rotate",
        reverse("admin:alerts_channel_test", args=[channel.pk]): "test",
        reverse("admin:alerts_channel_retire", args=[channel.pk]): "retire",
        reverse("admin:jobs_job_release", args=[job.pk]): "release",
        reverse("admin:auth_user_password_change", args=[olga.pk]): "change",
        reverse("admin:auth_user_delete", args=[olga.pk]): "delete",
        reverse("admin:bots_secondfactor_delete", args=[a_second_factor().pk]): "delete",
    }
    for url, verb in pages.items():
        before = AuditEntry.objects.count()
        answer = admin_client.post(url, {"post": "yes", "reason": "why", **_PERSON, "set-password": "yes"})
        assert answer.status_code in (200, 302), url
        assert (verb, "admin") in AuditEntry.objects.order_by("id")[before:].values_list("verb", "by"), url
    assert "a long enough secret" not in str(list(AuditEntry.objects.values()))


def held_job_of(bot: Bot) -> Job:
    return take_one(bot).job


def test_a_file_of_jobs_is_one_act(admin_client: Client) -> None:
    url, file = reverse("admin:jobs_job_upload"), SimpleUploadedFile("x.ndjson", b'{"kind":"sum"}\n{"kind":"mail"}\n')
    checked = admin_client.post(url, {"file": file})
    assert not AuditEntry.objects.exists()
    form = {"content": checked.context["content"], "format": checked.context["format"], "load": "yes"}
    assert admin_client.post(url, form).status_code == 302
    (entry,) = AuditEntry.objects.all()
    assert (entry.verb, entry.object_name, entry.after["kinds"]) == ("enqueue", "2 jobs", {"sum": 1, "mail": 1})


def test_the_sweep_is_nobody_and_leaves_no_entry(ada: Bot) -> None:
    first = AuditEntry.objects.count()
    reconcile.reconcile()
    assert AuditEntry.objects.count() == first
