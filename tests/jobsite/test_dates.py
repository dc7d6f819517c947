"""A date that no calendar, time zone or filter can use is a message, wherever somebody gives one."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bots.models import ApiKey
from jobs.models import Job
from tests.api.calls import refused, send
from tests.cast import enqueue_one

pytestmark = pytest.mark.django_db

ODD = (
    "9999-12-31", "9999-12-31T23:59:59", "0001-01-01", "2026-02-30", "2026-13-01", "99999-01-01", "-1", "soon", "0",
    "now", "2026-11-05T25:00", "12026-01-01", "１２３４-01-01", "\0",
)  # fmt: skip
#: The ends of the earth.
ZONES = ("Pacific/Kiritimati", "Pacific/Pago_Pago")


@pytest.fixture(params=ZONES)
def zone(request: Any, settings: Any) -> Any:
    settings.TIME_ZONE = request.param
    with timezone.override(request.param):
        yield request.param


def errors(response: Any) -> dict[str, Any]:
    return dict(response.context["adminform"].form.errors)


def test_a_new_job_with_an_odd_time_is_refused_by_the_form(zone: str, admin_client: Client) -> None:
    enqueue_one()
    form = {"kind": "sum", "payload": "{}", "priority": "0", "key": "", "max_attempts": ""}
    for odd in ODD:
        response = admin_client.post(reverse("admin:jobs_job_add"), form | {"run_at": odd})
        assert (response.status_code, list(errors(response))) == (200, ["run_at"]), odd
    assert Job.objects.count() == 1


def test_a_key_with_an_odd_end_is_refused_by_form_and_command(zone: str, admin_client: Client, olga: Any) -> None:
    form = {"user": str(olga.pk), "name": "x", "kinds": ""}
    for odd in ODD:
        day, _, hour = odd.partition("T")
        given = form | {"expires_at_0": day, "expires_at_1": hour or "00:00"}
        response = admin_client.post(reverse("admin:bots_apikey_add"), given)
        assert (response.status_code, list(errors(response))) == (200, ["expires_at"]), odd
        with pytest.raises(CommandError, match="--expires"):
            call_command("create_key", "olga", f"--expires={odd}", stdout=io.StringIO())
    assert not ApiKey.objects.exists()


def test_odd_days_of_the_patterns_are_named_on_the_page(zone: str, admin_client: Client) -> None:
    url = reverse("admin:jobs_jobevent_patterns")
    days = [odd for odd in ODD if odd != "\0"]
    for odd in days:
        for query in ({"from": odd}, {"to": odd}, {"from": odd, "to": odd}):
            response = admin_client.get(url, query)
            assert response.status_code == 200, odd
            assert response.context["params"].faults, odd
    response = admin_client.get(url, {"from": "2026-11-05", "to": "2026-11-04"})
    assert "comes after" in response.content.decode()
    assert admin_client.get(url, {"from": "\0"}).status_code == 400


def test_odd_times_of_the_audit_log_are_named_by_the_api(zone: str, client: Client, olga_key: str) -> None:
    for name in ("since", "until"):
        for odd in ODD:
            answer = client.get("/api/v1/audit", {name: odd}, headers={"authorization": f"Bearer {olga_key}"})
            assert refused(answer, 422, "invalid")["errors"][0]["field"] == name
        for far in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"):
            assert send(client, olga_key, "GET", f"/audit?{name}={far}").status_code == 200
    inverted = "/audit?since=2026-11-05T00:00:00Z&until=2026-11-04T00:00:00Z"
    assert refused(send(client, olga_key, "GET", inverted), 422, "invalid")["errors"][0]["field"] == "until"


def test_odd_times_of_a_deletion_are_named_by_the_api(zone: str, client: Client, olga_key: str) -> None:
    enqueue_one()
    for name in ("created_before", "finished_before"):
        for odd in ODD:
            answer = send(client, olga_key, "POST", "/jobs/delete", {"filter": {"kind": "sum", name: odd}})
            assert refused(answer, 422, "invalid")["errors"][0]["field"] == f"filter.{name}"
    assert Job.objects.count() == 1
