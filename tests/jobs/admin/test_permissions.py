"""Who may press what in the admin: every action of every page, for everybody in the cast."""

import pytest
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from bots.models import ApiKey, Bot
from jobs.admin import actions
from jobs.models import Job, JobEvent, JobKind
from jobs.states import JobStatus

PAGES = {Job: "jobs_job", Bot: "bots_bot", JobKind: "jobs_jobkind", ApiKey: "bots_apikey"}
ACTIONS = [(model, name) for model in PAGES for name in admin.site.get_model_admin(model).actions]
MODELS = [Job, JobEvent, JobKind, Bot, ApiKey]


def offered(client, page, user):
    client.force_login(user)
    return client.get(reverse(f"admin:{page}_changelist")).content.decode()


@pytest.mark.parametrize(("model", "name"), ACTIONS, ids=lambda value: getattr(value, "__name__", value))
def test_an_action_is_offered_to_operators_only(client, olga, vera, ada, held_by, model, name):
    held_by(ada)
    ApiKey.objects.create(user=olga, prefix="jsk_", digest=b"x" * 32)
    assert f'value="{name}"' in offered(client, PAGES[model], olga)
    assert f'value="{name}"' not in offered(client, PAGES[model], vera)


@pytest.mark.parametrize(("model", "name"), ACTIONS, ids=lambda value: getattr(value, "__name__", value))
def test_a_forged_action_by_a_view_only_operator_changes_nothing(client, olga, vera, ada, held_by, model, name):
    lease = held_by(ada)
    ApiKey.objects.create(user=olga, prefix="jsk_", digest=b"x" * 32)
    before = [list(m.objects.order_by("pk").values()) for m in (Job, Bot, JobKind, ApiKey)]
    client.force_login(vera)
    pk = {Job: lease.id, Bot: ada.pk, JobKind: "sum"}.get(model) or ApiKey.objects.get().pk
    form = {"action": name, "_selected_action": [pk], "confirmed": "yes"}
    assert client.post(reverse(f"admin:{PAGES[model]}_changelist"), form).status_code == 403
    assert [list(m.objects.order_by("pk").values()) for m in (Job, Bot, JobKind, ApiKey)] == before


@pytest.mark.parametrize("verb", ["release", "retry", "cancel", "accept"])
def test_each_verb_needs_its_own_permission(client, vera, nora, ada, held_by, verb):
    lease = held_by(ada)
    url = reverse(f"admin:jobs_job_{verb}", args=[lease.id])
    for person in (vera, nora):
        client.force_login(person)
        assert client.post(url).status_code == 403
    assert lease.job.status == JobStatus.PROCESSING


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_somebody_without_rights_sees_no_list(client, nora, model):
    client.force_login(nora)
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert client.get(url).status_code == 403


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_list_and_every_page_is_shown_to_an_operator(client, olga, ada, held_by, model):
    lease = held_by(ada)
    lease.fail("it broke")
    ApiKey.objects.create(user=olga, prefix="jsk_", digest=b"x" * 32)
    client.force_login(olga)
    page = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    assert client.get(reverse(f"{page}_changelist")).status_code == 200
    one = model.objects.first()
    assert client.get(reverse(f"{page}_change", args=[one.pk])).status_code == 200


def test_state_cannot_be_changed_by_a_forged_form(client, olga, ada, held_by):
    lease = held_by(ada)
    client.force_login(olga)
    forged = {"status": "succeeded", "attempt": "9", "claimed_by": "", "kind": "sum", "payload": "{}", "priority": "1"}
    client.post(reverse("admin:jobs_job_change", args=[lease.id]), forged)
    assert (lease.job.status, lease.job.attempt) == (JobStatus.PROCESSING, 1)


def test_a_bots_health_cannot_be_changed_by_a_forged_form(client, olga, ada):
    client.force_login(olga)
    forged = {"name": "ada", "kinds": "", "health_status": "unhealthy", "status": "down", "paused": "on"}
    client.post(reverse("admin:bots_bot_change", args=[ada.pk]), forged)
    ada.refresh_from_db()
    assert (ada.health_status, ada.status, ada.paused) == ("normal", "idle", False)


def test_nothing_in_the_history_can_be_deleted(client, admin_client, ada, held_by):
    lease = held_by(ada)
    lease.fail("it broke")
    event = JobEvent.objects.get()
    for url in (
        reverse("admin:jobs_jobevent_delete", args=[event.pk]),
        reverse("admin:jobs_job_delete", args=[lease.id]),
        reverse("admin:bots_bot_delete", args=[ada.pk]),
    ):
        assert admin_client.post(url, {"post": "yes"}).status_code == 403
    assert JobEvent.objects.filter(pk=event.pk).exists()


@pytest.mark.parametrize("name", actions.INTERVENTIONS)
def test_nothing_is_done_or_offered_to_somebody_without_the_permission_whoever_asks_for_it(
    rf, vera, ada, held_by, name
):
    """Even where the page or the action before it forgot to look."""
    lease, verb = held_by(ada), actions.INTERVENTIONS[name]
    request = rf.post("/")
    request.user = vera
    with pytest.raises(PermissionDenied):
        actions.act(request, verb, [lease.id], {"reason": ""})
    with pytest.raises(PermissionDenied):
        actions.confirmation(admin.site.get_model_admin(Job), request, verb, Job.objects.all(), "/")
    assert lease.job.status == JobStatus.PROCESSING
