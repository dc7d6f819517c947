"""Schedules in the console: what they mean while one types, what comes and what was, and its buttons."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs.models import Schedule
from tests.jobs.schedules.rules import a_schedule, fire, jobs_of, last, ledger, off_for

pytestmark = pytest.mark.django_db

LIST, ADD = reverse("admin:jobs_schedule_changelist"), reverse("admin:jobs_schedule_add")
PREVIEW = reverse("admin:jobs_schedule_preview")
FORM = {
    "name": "nightly", "kind": "report", "payload": '{"of": "yesterday"}', "priority": "0", "key": "",
    "cron": "0 3 * * MON-FRI", "every": "", "time_zone": "Europe/Berlin", "overlap": "skip", "catch_up": "last",
    "catch_up_within": "1:00:00", "starts_at": "", "ends_at": "",
}  # fmt: skip


BACKWARDS = {"starts_at": "2026-11-02T00:00", "ends_at": "2026-11-01T00:00:00"}


@pytest.fixture
def chief(client: Client, olga: User) -> Client:
    client.force_login(olga)
    return client


def page_of(schedule: Schedule) -> str:
    return reverse("admin:jobs_schedule_change", args=[schedule.pk])


def press(client: Client, schedule: Schedule, action: str, **given: str) -> Any:
    form = {"action": action, "_selected_action": [schedule.pk], "back": page_of(schedule)} | given
    return client.post(LIST, form, follow=True)


def test_a_form_makes_a_schedule_and_the_list_says_what_comes(chief: Client) -> None:
    assert chief.post(ADD, FORM).status_code == 302
    schedule = Schedule.objects.get()
    assert (schedule.payload, schedule.time_zone, schedule.next_at is not None) == (
        {"of": "yesterday"},
        "Europe/Berlin",
        True,
    )
    answer = chief.get(LIST).content.decode()
    assert "At 03:00 on Monday through Friday, Europe/Berlin" in answer and "data-local" in answer


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"cron": "61 * * * *"}, "Bad minute"),
        ({"cron": ""}, "Give a cron line"),
        ({"every": "0:01:00"}, "and not both"),
        ({"cron": "", "every": "0:00:01.5"}, "Use whole seconds"),
        ({"name": "preview"}, "Use letters"),
        ({"kind": "no kind"}, "Use letters"),
        ({"payload": "{"}, "JSON"),
        (
            BACKWARDS,
            "The end is",
        ),
    ],
)
def test_a_fault_is_shown_and_nothing_is_saved(chief: Client, given: dict[str, str], fault: str) -> None:
    answer = chief.post(ADD, FORM | given)
    assert answer.status_code == 200 and fault in answer.content.decode()
    assert not Schedule.objects.exists()


def test_while_one_types_the_line_is_told_in_words_with_the_next_ten(chief: Client) -> None:
    part = chief.post(PREVIEW, FORM | {"kind": "", "name": ""}, headers={"HX-Request": "true"}).content.decode()
    assert (
        "At 03:00 on Monday through Friday, Europe/Berlin" in part and part.count("<li>") == 10 and "<html" not in part
    )
    part = chief.post(PREVIEW, FORM | {"cron": "0 3"}, headers={"HX-Request": "true"}).content.decode()
    assert "Use five fields" in part
    assert not Schedule.objects.exists()


def test_without_scripts_the_same_is_a_page(chief: Client) -> None:
    answer = chief.post(PREVIEW, FORM)
    assert "At 03:00" in answer.content.decode() and "<html" in answer.content.decode()
    form = chief.get(ADD).content.decode()
    assert f'formaction="{PREVIEW}"' in form and f'hx-post="{PREVIEW}"' in form


def test_its_page_has_what_comes_what_was_and_a_months_ledger(chief: Client) -> None:
    schedule = off_for(timedelta(minutes=130), every=3600, catch_up="none", overlap="allow")
    fire()
    chief.post(page_of(schedule), FORM | {"name": "nightly", "cron": "", "every": "1:00:00", "catch_up": "none"})
    page = chief.get(page_of(schedule)).content.decode()
    assert "The last 1 fates, 1 of them missed" in page and "3 times" in page
    month = chief.get(reverse("admin:jobs_schedule_ledger", args=[schedule.pk])).content.decode()
    assert "Nothing fired it within 1 m, and none is caught up." in month
    other = chief.get(reverse("admin:jobs_schedule_ledger", args=[schedule.pk]) + "?month=2001-02").content.decode()
    assert "February 2001" in other and "No moment of this month has a fate." in other
    odd = chief.get(reverse("admin:jobs_schedule_ledger", args=[schedule.pk]) + "?month=x").content.decode()
    assert f"{timezone.localtime():%B %Y}" in odd
    history = chief.get(reverse("admin:jobs_schedule_history", args=[schedule.pk])).content.decode()
    assert "olga" in history and "overlap: allow" in history


def test_a_form_that_changes_something_else_moves_nothing(chief: Client) -> None:
    schedule = a_schedule(starts_at="2026-01-01T00:00:00.123456Z", payload={"of": "yesterday"}, priority=1)
    form = FORM | {"cron": "", "every": "0:01:00", "time_zone": "UTC", "starts_at": "2026-01-01T00:00:00"}
    assert chief.post(page_of(schedule), form).status_code == 302
    changed = Schedule.objects.get()
    assert (changed.starts_at, changed.next_at, changed.priority) == (schedule.starts_at, schedule.next_at, 0)


def test_its_buttons_run_skip_pause_and_resume(chief: Client) -> None:
    schedule = a_schedule()
    assert "was made" in press(chief, schedule, "run_now", reason="we need it").content.decode()
    assert (last().reason, len(jobs_of())) == ("Run now by olga: we need it.", 1)
    assert "makes no job" in press(chief, schedule, "skip_next").content.decode()
    tomorrow = f"{timezone.localtime() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    assert "Paused 1 schedule" in press(chief, schedule, "pause", reason="move", until=tomorrow).content.decode()
    schedule.refresh_from_db()
    assert schedule.paused and schedule.pause_reason == "move"
    assert f"{timezone.localtime(schedule.paused_until):%Y-%m-%dT%H:%M}" == tomorrow
    assert "Resume" in chief.get(page_of(schedule)).content.decode()
    press(chief, schedule, "resume")
    schedule.refresh_from_db()
    assert not schedule.paused and ledger() == [("enqueued", 1), ("skipped", 1)]


@pytest.mark.parametrize("until", ["yesterday", "2001-01-01T00:00"])
def test_a_pause_until_no_moment_to_come_is_refused(chief: Client, until: str) -> None:
    schedule = a_schedule()
    assert "Nothing was paused. until:" in press(chief, schedule, "pause", until=until).content.decode()
    assert not Schedule.objects.get().paused


def test_who_may_look_sees_no_payload_and_no_button(client: Client, vera: User) -> None:
    vera.user_permissions.remove(*vera.user_permissions.filter(codename="view_payload"))
    schedule = a_schedule(payload={"secret": "hunter2"})
    client.force_login(vera)
    page = client.get(page_of(schedule)).content.decode()
    assert "hunter2" not in page and "Run now" not in page and "What comes" in page
    assert client.post(PREVIEW, FORM).status_code == 403
    assert press(client, schedule, "run_now").status_code == 403
    assert not jobs_of()


def test_who_sees_no_payload_changes_the_rest(client: Client, olga: User) -> None:
    olga.user_permissions.remove(*olga.user_permissions.filter(codename="view_payload"))
    schedule = a_schedule(payload={"secret": "hunter2"})
    client.force_login(olga)
    assert client.post(page_of(schedule), FORM | {"payload": '{"secret": "mine"}'}).status_code == 302
    schedule.refresh_from_db()
    assert (schedule.payload, schedule.cron) == ({"secret": "hunter2"}, "0 3 * * MON-FRI")


def test_who_may_nothing_sees_nothing(client: Client, nora: User) -> None:
    schedule = a_schedule()
    client.force_login(nora)
    for url in (LIST, page_of(schedule), reverse("admin:jobs_schedule_ledger", args=[schedule.pk])):
        assert client.get(url).status_code == 403
