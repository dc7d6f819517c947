"""Log lines: one JSON object each, with what they are about, a line for what matters, and never a token."""

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import structlog
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from bots import roster, tokens
from bots.audit import Who
from bots.models import ApiKey, Bot
from jobs import lifecycle
from jobs.api import bots, turn
from jobs.lifecycle import By
from jobs.turns import waiting
from jobsite import entry, logs, metrics
from jobsite.lib import log_context
from tests.cast import enqueue_one, make_older, put_in_quarantine, take_one

pytestmark = pytest.mark.django_db
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """All that would go to standard error in production, at the most talkative level."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.JsonFormatter())
    root, ours = logging.getLogger(), logging.getLogger("jobsite")
    root.addHandler(handler)
    before = root.level, ours.level
    ours.setLevel(logging.DEBUG)
    yield out
    root.removeHandler(handler)
    ours.setLevel(before[1])


@pytest.fixture
def lines(written: io.StringIO) -> Lines:
    """What was written, read as JSON: each line is an object of its own."""
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", **more}


def post(client: Client, path: str, token: str, body: Any = None, **headers: str) -> Any:
    return client.post(
        f"/api/v1{path}", json.dumps(body or {}), content_type="application/json", headers=bearer(token, **headers)
    )


# --- Form ---------------------------------------------------------------------------------------------------------


def test_a_line_is_one_json_object_also_with_a_traceback_and_odd_letters(lines: Lines) -> None:
    try:
        raise ValueError('of two\nlines \u2028 and "quotes"')
    except ValueError:
        logging.getLogger("jobsite.test").exception("it %s", "broke\nhere")
    (line,) = lines()
    assert line["time"].endswith("+00:00")
    assert (line["level"], line["logger"], line["message"]) == ("error", "jobsite.test", "it broke\nhere")
    assert "ValueError: of two\nlines" in line["exception"]


def test_fields_cannot_take_the_place_of_what_every_line_has(lines: Lines) -> None:
    structlog.get_logger("jobsite.test").warning("true", message="false", level="none", job=7)
    (line,) = lines()
    assert (line["message"], line["level"], line["job"]) == ("true", "warning", 7)


def test_what_libraries_hang_on_a_record_is_left_out(lines: Lines) -> None:
    logging.getLogger("jobsite.test").warning("x", extra={"request": "secret"})
    structlog.get_logger("jobsite.test").warning("x", _own=1, bot="")
    for line in lines():
        assert set(line) == {"time", "level", "logger", "message"}


def test_in_development_a_line_is_for_people() -> None:
    formatter = logs.LineFormatter("{levelname} {message}", style="{")
    with log_context.begin(request_id="r1", _digest=b"x"):
        record = logging.LogRecord("x", logging.INFO, "", 1, "released %s", (7,), None)
        assert formatter.format(record) == "INFO released 7 [request_id=r1]"


def test_in_development_a_traceback_stands_below_its_line() -> None:
    formatter = logs.LineFormatter("{levelname} {message}", style="{")
    try:
        raise ValueError("jsb_abcdefgh")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "broke", (), sys.exc_info())
    first, *_, last = formatter.format(record).splitlines()
    assert (first, last) == ("ERROR broke", f"ValueError: jsb_{logs.HIDDEN}")


def test_our_lines_and_those_of_libraries_have_one_form(lines: Lines) -> None:
    with log_context.begin(request_id="r1"):
        logging.getLogger("jobsite.test").warning("%d of %d", 1, 2)
        structlog.get_logger("jobsite.test").warning("1 of 2")
    first, second = lines()
    assert list(first) == ["time", "level", "logger", "message", "request_id"]
    assert list((first | {"time": ""}).items()) == list((second | {"time": ""}).items())


# --- What they are about ------------------------------------------------------------------------------------------


def test_the_callers_request_id_is_in_the_lines_and_comes_back(
    client: Client, olga_key: str, ada: Bot, lines: Lines, django_capture_on_commit_callbacks: Any
) -> None:
    lease = take_one(ada)
    with django_capture_on_commit_callbacks(execute=True):
        said = post(client, f"/jobs/{lease.id}/release", olga_key, {"reason": "ada hangs"}, **{"x-request-id": "abc-1"})
    assert (said.status_code, said["X-Request-ID"]) == (200, "abc-1")
    (line,) = lines()
    assert line | {"time": ""} == {
        "time": "", "level": "info", "logger": "jobsite.jobs", "request_id": "abc-1", "user": "olga", "by": "olga",
        "actor": "operator", "verb": "release", "job": lease.id, "attempt": 1, "kind": "sum", "bot": "ada",
        "bot_id": ada.pk, "reason": "ada hangs", "status": "pending", "previous_status": "processing",
        "message": f"release of job {lease.id} by olga: pending",
    }  # fmt: skip


@pytest.mark.parametrize(
    "sent", ["", "two words", "x" * 65, "jsb_abcdefghijklmnop", "jsk_abc", "-dash", 'a"b', "line\nbreak", "é"]
)
def test_a_request_id_that_is_not_sane_is_replaced(client: Client, sent: str) -> None:
    said = client.get("/livez", headers={"x-request-id": sent} if sent else {})
    assert re.fullmatch(r"[0-9a-f]{16}", said["X-Request-ID"])


def test_each_answer_has_a_request_id_of_its_own(client: Client, ada_token: str) -> None:
    paths = ["/livez", "/metrics", "/nothing", "/api/v1/nothing", "/admin/"]
    ids = {client.get(path)["X-Request-ID"] for path in paths}
    ids |= {post(client, "/claim", ada_token)["X-Request-ID"] for _ in range(2)}
    assert len(ids) == 7


def test_nothing_of_a_request_is_left_for_the_next(client: Client, ada_token: str) -> None:
    post(client, "/claim", ada_token)
    assert log_context.bound() == {}


def test_a_claim_leaves_no_line(client: Client, ada: Bot, ada_token: str, lines: Lines) -> None:
    enqueue_one()
    said = post(client, "/claim", ada_token)
    assert len(said.json()["jobs"]) == 1
    assert lines() == []


def test_a_refused_report_leaves_a_line_with_who_ended_the_lease(
    client: Client, ada: Bot, ada_token: str, olga: Any, lines: Lines
) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    said = post(client, f"/jobs/{lease.id}/complete", ada_token, {"attempt": 1})
    assert said.status_code == 409
    (line,) = [line for line in lines() if line.get("code") == "lease_lost"]
    about = {"job": lease.id, "attempt": 1, "bot": "ada", "bot_id": ada.pk, "ended_by": "operator olga"}
    assert line | about == line
    assert line["request_id"] == said["X-Request-ID"]
    # And in an exchange, where the answer is 200.
    post(client, "/exchange", ada_token, {"completed": [{"id": lease.id, "attempt": 1}]})
    assert len([line for line in lines() if line.get("code") == "lease_lost"]) == 2


def test_each_expiry_leaves_a_line_of_its_sweep(
    ada: Bot, lines: Lines, django_capture_on_commit_callbacks: Any
) -> None:
    first, second = take_one(ada), take_one(ada)
    for lease in (first, second):
        make_older(lease, 30)
    with django_capture_on_commit_callbacks(execute=True):
        call_command("sweep_stuck", stdout=StringIO())
    expired = [line for line in lines() if line.get("verb") == "expire"]
    assert {line["job"] for line in expired} == {first.id, second.id}
    assert {(line["bot"], line["attempt"], line["actor"]) for line in expired} == {("ada", 1, "sweep")}
    assert len({line["sweep"] for line in expired}) == 1
    assert all("silent for 30 m" in line["reason"] for line in expired)


def test_what_was_rolled_back_leaves_no_line(ada: Bot, olga: Any, lines: Lines) -> None:
    lease = take_one(ada)
    # The test's own transaction is never committed.
    lifecycle.release([lease.id], by=By.operator(olga))
    assert lines() == []


def test_a_slow_request_leaves_a_line_that_names_the_bot(
    client: Client, ada: Bot, ada_token: str, settings: Any, lines: Lines
) -> None:
    settings.SLOW_REQUEST = timedelta(0)
    said = post(client, "/claim", ada_token)
    (line,) = lines()
    assert line["message"].startswith("POST /api/v1/claim was slow: 200 in ")
    assert (line["bot"], line["bot_id"], line["route"]) == ("ada", ada.pk, "/api/v1/claim")
    assert line["request_id"] == said["X-Request-ID"]


def test_a_line_that_is_not_written_does_not_ask_for_the_bots_name(
    client: Client, ada_token: str, settings: Any, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    settings.SLOW_REQUEST = timedelta(0)
    monkeypatch.setattr(entry, "_name_the_bot", asked.append)
    requests = logging.getLogger("jobsite.requests")
    requests.setLevel(logging.ERROR)
    try:
        post(client, "/claim", ada_token)
    finally:
        requests.setLevel(logging.NOTSET)
    assert (asked, lines()) == ([], [])


def test_a_claim_that_waits_for_jobs_is_not_slow(
    client: Client, ada_token: str, settings: Any, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SLOW_REQUEST = timedelta(microseconds=1)
    observed: list[float] = []

    class AnHour:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *error: object) -> None:
            log_context.bind(_waited=3600.0)

    async def nothing_comes(*args: Any) -> Any:
        return None, True

    monkeypatch.setattr(log_context, "waiting", AnHour)
    monkeypatch.setattr(waiting, "poll", nothing_comes)
    monkeypatch.setattr(metrics, "observe", lambda method, route, status, seconds: observed.append(seconds))
    assert post(client, "/claim", ada_token, {"wait": 30}).status_code == 200
    assert lines() == []
    assert observed == [0.0]


def test_a_failure_of_ours_leaves_its_traceback_and_a_line_with_the_request(
    client: Client, ada: Bot, ada_token: str, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **said: Any) -> Any:
        raise RuntimeError("a fault of ours")

    lease = take_one(ada)
    monkeypatch.setattr(lifecycle, "complete", broken)
    said = post(client, f"/jobs/{lease.id}/complete", ada_token, {"attempt": 1})
    assert said.status_code == 500
    first, second = lines()
    assert "RuntimeError: a fault of ours" in first["exception"]
    assert (second["level"], second["status"], second["route"]) == ("error", 500, "/api/v1/jobs/<job_id>/complete")
    for line in (first, second):
        assert (line["request_id"], line["job"], line["attempt"]) == (said["X-Request-ID"], lease.id, 1)
        assert (line["bot"], line["bot_id"]) == ("ada", ada.pk)


def test_a_refused_request_leaves_one_line(client: Client, lines: Lines) -> None:
    said = client.get("/api/v1/nothing")
    (line,) = lines()
    assert (line["status"], line["path"], line["request_id"]) == (404, "/api/v1/nothing", said["X-Request-ID"])


# --- What people do to bots, kinds and keys ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "body", "verbs"),
    [
        ("pause", {"reason": "it leaks"}, ["pause"]),
        ("resume", {"reason": "it leaks"}, ["resume", "clear_quarantine"]),
        ("restart", {"reason": "it leaks"}, ["restart"]),
        ("expect", {"reason": "it leaks", "expected": False}, ["do_not_expect"]),
    ],
)
def test_what_an_operator_does_to_a_bot_by_the_api_leaves_a_line_with_the_bot_and_the_operator(
    path: str, body: dict[str, Any], verbs: list[str], client: Client, olga_key: str, ada: Bot, lines: Lines
) -> None:  # fmt: skip
    if path == "resume":
        Bot.objects.update(paused=True)
        put_in_quarantine(ada)
    said = post(client, f"/bots/{ada.pk}/{path}", olga_key, body, **{"x-request-id": "abc-1"})
    assert said.status_code == 200
    assert [line | {"time": ""} for line in lines()] == [
        {
            "time": "", "level": "info", "logger": "jobsite.bots", "request_id": "abc-1", "user": "olga", "verb": verb,
            "bot": "ada", "bot_id": ada.pk, "actor": "operator", "by": "olga", "reason": "it leaks",
            "message": f"{verb} of bot ada by olga",
        }
        for verb in verbs
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("action", "verb"),
    [
        ("pause", "pause"),
        ("resume", "resume"),
        ("clear_quarantine", "clear_quarantine"),
        ("restart", "restart"),
        ("revoke_tokens", "revoke"),
    ],
)
def test_what_an_operator_does_to_bots_in_the_admin_leaves_a_line_for_each_that_it_changed(
    action: str, verb: str, client: Client, admin_user: Any, ada: Bot, bob: Bot, lines: Lines,
    django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    client.force_login(admin_user)
    if action in ("resume", "clear_quarantine"):
        Bot.objects.update(paused=True)
        put_in_quarantine(ada, bob)
    ticked = {"action": action, "_selected_action": [ada.pk, bob.pk]}
    for _ in range(1 if action == "restart" else 2):
        with django_capture_on_commit_callbacks(execute=True):
            assert client.post(reverse("admin:bots_bot_changelist"), ticked).status_code == 302
    said = [(line["verb"], line["bot"], line["bot_id"], line["by"]) for line in lines()]
    assert said == [(verb, "ada", ada.pk, "admin"), (verb, "bob", bob.pk, "admin")]


def test_a_kind_that_is_paused_and_resumed_leaves_a_line_each(
    client: Client, admin_user: Any, lines: Lines, django_capture_on_commit_callbacks: Any
) -> None:
    enqueue_one(kind="sum")
    client.force_login(admin_user)
    for action in ("pause", "pause", "resume"):
        with django_capture_on_commit_callbacks(execute=True):
            ticked = {"action": action, "_selected_action": ["sum"]}
            assert client.post(reverse("admin:jobs_jobkind_changelist"), ticked).status_code == 302
    said = [(line["message"], line["kind"], line["by"]) for line in lines()]
    assert said == [("pause of kind sum by admin", "sum", "admin"), ("resume of kind sum by admin", "sum", "admin")]


def test_a_new_token_leaves_a_line_and_nothing_of_the_token(
    client: Client, admin_user: Any, olga: Any, ada: Bot, written: io.StringIO, lines: Lines,
    django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    client.force_login(admin_user)
    forms = [
        (reverse("admin:bots_bot_rotate", args=[ada.pk]), {}),
        (reverse("admin:bots_bot_add"), {"name": "carl", "kinds": "", "expected": "on"}),
        (reverse("admin:bots_apikey_add"), {"user": olga.pk, "name": "laptop"}),
    ]
    shown = []
    with django_capture_on_commit_callbacks(execute=True):
        for url, data in forms:
            page = client.post(url, data)
            assert page.status_code == 200
            shown += [page.context["token"]]
        key = ApiKey.objects.get(user=olga)
        ticked = {"action": "revoke", "_selected_action": [key.pk]}
        assert client.post(reverse("admin:bots_apikey_changelist"), ticked).status_code == 302
    assert [line["message"] for line in lines()] == [
        "rotate of bot ada by admin",
        "register of bot carl by admin",
        f"create of key {key.pk} by admin",
        f"revoke of key {key.pk} by admin",
    ]
    assert [line.get("of") for line in lines()[2:]] == ["olga", "olga"]
    assert len(shown) == 3
    for token in shown:
        assert token[4:10] not in written.getvalue()


def test_what_was_taken_back_and_what_was_so_before_leave_no_line(
    ada: Bot, lines: Lines, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        roster.resume(Bot.objects.all(), by=Who("olga"))
    # The test's own transaction is never committed.
    roster.pause(Bot.objects.all(), by=Who("olga"))
    assert lines() == []


# --- No token, ever -----------------------------------------------------------------------------------------------


def test_no_token_gets_into_the_log_whatever_it_is_sent_in(
    client: Client, ada: Bot, ada_token: str, olga_key: str, settings: Any, written: io.StringIO,
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    client.raise_request_exception = False
    settings.SLOW_REQUEST = timedelta(0)
    secrets = [ada_token, olga_key, tokens.new("jsb_").text, tokens.new("jsk_").text]

    def fail_with_all(*args: Any, **said: Any) -> Any:
        raise OperationalError(f"connection to postgres://jobsite:hunter2pass@db/x failed; {args} {said} {secrets}")

    lease = take_one(ada)
    with django_capture_on_commit_callbacks(execute=True):
        for secret in secrets:
            for path in ("/claim", "/exchange", "/jobs", "/hello", f"/jobs/{lease.id}/complete", f"/jobs/{secret}"):
                for body in (secret, {"attempt": secret}, {"reason": secret, "kinds": [secret]}, {"kind": secret}):
                    post(client, path, secret, body, **{"x-request-id": secret, "bot-instance": secret})
                    client.get(f"/api/v1{path}?token={secret}&q=Bearer%20{secret}", headers=bearer(secret))
            for path in (f"/{secret}", f"/admin/{secret}/", "/metrics", "/livez", f"/static/{secret}"):
                client.get(path, headers=bearer(secret, host=secret, cookie=f"sessionid={secret}"))
                client.get(path, {"token": secret}, headers=bearer(secret))
            lifecycle.release([lease.id], by=By("operator", "olga"), reason=f"her token is {secret}")  # type: ignore[arg-type]
            client.get("/api/v1/jobs", headers={"authorization": f"Basic {secret}"})
        for where, name in ((lifecycle, "complete"), (lifecycle, "take_turn"), (bots, "require")):
            monkeypatch.setattr(where, name, fail_with_all)
        for secret in secrets[:2]:
            post(client, "/claim", secret, {})
            post(client, f"/jobs/{lease.id}/complete", secret, {"attempt": 1, "result": secret})
            client.get("/api/v1/bots", headers=bearer(secret))
        logging.getLogger("jobsite.test").error("Authorization: Bearer %s", "any-other-token")
    text = written.getvalue()
    assert text.count("\n") > 100
    assert logs.HIDDEN in text
    for secret in (*secrets, "hunter2pass", "any-other-token", settings.SECRET_KEY):
        assert secret not in text
        # Nor most of it.
        assert secret[6:] not in text
    assert all(json.loads(line) for line in text.splitlines())


def test_secrets_are_removed_from_nested_fields_and_before_they_are_escaped(lines: Lines) -> None:
    structlog.get_logger("jobsite.test").warning("x", kinds={"jsb_abcdef12": ["Bearer\nabc.def", 7]}, ok=True)
    (line,) = lines()
    assert (line["kinds"], line["ok"]) == ({f"jsb_{logs.HIDDEN}": [f"Bearer\n{logs.HIDDEN}", 7]}, True)


def test_scrubbing_leaves_the_rest_of_the_line() -> None:
    line = (
        '{"message": "Bearer abc.def-ghi", "url": "postgres://me:pass@db/name", "bot": "ada", "token": "jsb_aBc-9_x"}'
    )
    assert json.loads(logs.scrub(line)) == {
        "message": f"Bearer {logs.HIDDEN}",
        "url": f"postgres://me:{logs.HIDDEN}@db/name",
        "bot": "ada",
        "token": f"jsb_{logs.HIDDEN}",
    }
    for plain in ("see https://example.org:8000/x", "attempt 1 of job 7", "bearer", "a basic thing"):
        assert logs.scrub(plain) in (plain, plain.replace("thing", logs.HIDDEN))


def test_turns_were_answered_by_the_entry_where_these_tests_mean_it() -> None:
    assert set(turn.PATHS) == {"/api/v1/claim", "/api/v1/exchange"}
