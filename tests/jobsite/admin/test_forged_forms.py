"""A form that no page made is refused with a message, and nothing is changed."""

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory

from bots.models import Bot
from jobs.models import Job
from tests.cast import bot_named, enqueue_one
from tests.jobsite.admin.addresses import MODELS, SITE, address, of_each_model

pytestmark = pytest.mark.django_db
PKS = ("1", "zz", "", "\0", "-1", "1" + "0" * 30, "9" * 5000, "\ud7ff", "1e3", "None")


@of_each_model
@pytest.mark.usefixtures("filled")
def test_a_ticked_row_without_an_action_is_a_message(root, model):
    url = address(model, "changelist")
    forms = [{}, {"action": ""}, {"action": "zz"}, {"action": "\0"}, {"index": "0"}, {"index": "-7", "action": "zz"}]
    for form in [*forms, {"index": "9" * 40, "action": ["zz", ""]}, {"_save": "Save"}]:
        response = root.post(url, {"_selected_action": "1"} | form)
        assert response.status_code == 302
    assert "Nothing was changed" in root.get(url).content.decode()


@of_each_model
@pytest.mark.usefixtures("filled")
def test_an_action_on_rows_that_cannot_be_is_no_failure(root, model):
    url = address(model, "changelist")
    for action in SITE.get_model_admin(model).get_actions(_request()):
        for pks in ([pk] for pk in PKS):
            assert root.post(url, {"action": action, "_selected_action": pks}).status_code < 500
        form = {"action": action, "_selected_action": list(PKS[1:]), "index": "0", "select_across": "zz"}
        assert root.post(url, form).status_code < 500


def _request():
    """A request of root's, as pages are asked for which actions and fields they have."""
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="root")
    return request


def test_the_rows_that_can_be_are_taken_from_among_odd_ones(root):
    bot = bot_named("bob")
    form = {"action": "pause", "_selected_action": [*PKS[1:], str(bot.pk)]}
    assert root.post("/admin/bots/bot/", form).status_code == 302
    assert Bot.objects.get(paused=True) == bot


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_the_action_of_another_page_does_nothing(root, model):
    job = enqueue_one()
    request = _request()
    others = {name for other in MODELS for name in SITE.get_model_admin(other).get_actions(request)}
    own = set(SITE.get_model_admin(model).get_actions(request))
    assert others > own
    for name in others - own:
        assert root.post(address(model, "changelist"), {"action": name, "_selected_action": job.pk}).status_code == 302
    assert Job.objects.get(pk=job.pk).status == "pending"


@of_each_model
@pytest.mark.usefixtures("filled")
def test_odd_values_in_a_form_are_errors_of_its_fields(root, model):
    page = SITE.get_model_admin(model)
    if not page.has_add_permission(_request()):
        pytest.skip("nobody adds one by hand")
    names = [name for _, options in page.get_fieldsets(_request()) for name in _flat(options["fields"])]
    for value in (
        "",
        "\0",
        "zz",
        "-1",
        "9" * 400,
        "9999-12-31T23:59",
        '{"a": "\\u0000"}',
        '"\\ud800"',
        "[" * 100_000,
        "1e999",
        "NaN",
    ):
        assert root.post(address(model, "add"), dict.fromkeys(names, value)).status_code in {200, 302, 400, 413}


def _flat(fields):
    for field in fields:
        yield from field if isinstance(field, list | tuple) else [field]


@pytest.mark.parametrize("payload", ['{"a": "\\u0000"}', '"\\ud800"', "[" * 100_000, "1" * 5000, "NaN", "1e999", "{"])
def test_a_payload_that_cannot_be_stored_is_named(root, payload):
    enqueue_one()
    before = Job.objects.count()
    form = {"kind": "sum", "payload": payload, "priority": "0"}
    response = root.post("/admin/jobs/job/add/", form)
    assert response.status_code == 200
    assert 'id="id_payload_error"' in response.content.decode()
    assert Job.objects.count() == before


def test_a_form_in_another_encoding_is_refused(root):
    response = root.generic(
        "POST", "/admin/bots/bot/", b"action=+2AA-", "application/x-www-form-urlencoded; charset=utf-7"
    )
    assert response.status_code == 400
