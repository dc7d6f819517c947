"""Bad input: for every call and every field a problem that names it, and nothing is changed."""

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as site
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from psycopg_pool import PoolTimeout

from alerts.incidents.acknowledge import REMARK_LENGTH
from bots.models import MAX_CLAIM, NAME_LENGTH, Bot
from jobs import lifecycle
from jobs.api.schemas import ERROR_LENGTH, MAX_BULK, MAX_KINDS
from jobs.api.v1 import api
from jobs.bounds import GROUP_LENGTH, KEY_LENGTH, MAX_ATTEMPTS_LIMIT, NOTE_LENGTH, PRIORITY_LIMIT, REASON_LENGTH
from jobs.error_groups.acts import MOST_RETRIED
from jobs.models import Job
from jobsite.lib.strict_json import MAX_DEPTH
from tests import lasting
from tests.api import places as of_calls
from tests.api.calls import BOT, BY_NAME, CALLS, PREFIX, Call, refused, rows, send
from tests.cast import Lease, take_one

POSTS = [call for call in CALLS if call.method == "POST"]
REQUIRED = [call for call in POSTS if call.body]

# --- What is wrong for each sort of field ---------------------------------------------------------------------

HUGE = (2**31, 2**63, -(2**63) - 1, 10**100)
#: What nothing is called: it cannot be seen, or changes the text around it.
NO_NAMES = (" ", "\n", "a ", " a", "a\tb", "\x1b[2J", "a\x85b", "a\u202eb", "a\u200bb", "a\u00a0b")
NO_CHARACTERS = ("a\0b", "\0", "\ud800", "b\udfffa")


def text(most: int, *, null: bool = False, least: int = 0) -> list[Any]:
    wrong = [5, True, 1.5, ["a"], {"a": 1}, "x" * (most + 1), "\N{SNOWMAN}" * (most + 1), *NO_CHARACTERS]
    return wrong + ([] if null else [None]) + ([""] if least else [])


def whole(least: int, most: int, *, null: bool = False) -> list[Any]:
    return ["1", 1.5, True, [1], {}, least - 1, most + 1, *HUGE] + ([] if null else [None])


def kind_names(*, null: bool = False) -> list[Any]:
    one = ["", "no spaces", "x" * (NAME_LENGTH + 1), "sum\n", "\N{SNOWMAN}", 5, None, *NO_CHARACTERS]
    return ["sum", 5, {"a": 1}, ["sum"] * (MAX_KINDS + 1), *([name] for name in one)] + ([] if null else [None])


def anything(most: int) -> list[Any]:
    deep = [{"deep": [bad]} for bad in NO_CHARACTERS] + [{bad: 1} for bad in NO_CHARACTERS]
    return ["x" * most, {"x": ["\N{SNOWMAN}" * most]}, *NO_CHARACTERS, *deep]


YES_OR_NO = ["true", 1, 0, [], None]
CURSOR = [5, "x", "", "-1", "9" * 19, "\0"]
KIND = [names[0] for names in kind_names() if isinstance(names, list) and len(names) == 1]
TIME = [
    5, True, [], "5", "tomorrow", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "99999-01-01T00:00:00Z", *NO_CHARACTERS,
]  # fmt: skip
ATTEMPT = whole(1, 2**31 - 1)
SECONDS = ["1", True, [], {}, -1, 1e300, 10**100]
REASON = {"reason": text(REASON_LENGTH)}
LEASE = {"attempt": ATTEMPT}

#: For every field of every call: what it refuses.
WRONG: dict[str, dict[str, list[Any]]] = {
    "POST /claim": {
        "limit": whole(1, MAX_CLAIM),
        "kinds": kind_names(null=True),
        "wait": ["1", True, [], -1, 30.5, 1e300, 10**100, None],
        "start": YES_OR_NO,
    },
    "POST /exchange": {
        "completed": [None, 5, {}, [5], [[]], [{}], [{"id": 1}], [{"attempt": 1}], [{"id": 1, "attempt": 1, "x": 1}]]
        + [[{"id": 1, "attempt": 1, "result": bad}] for bad in anything(site.MAX_RESULT_BYTES)]
        + [[{"id": bad, "attempt": 1}] for bad in ("1", 1.5, True, None, 0, -1, 2**63, 10**100)]
        + [[{"id": 1, "attempt": 1}] * 2, [{"id": n, "attempt": 1} for n in range(1, MAX_CLAIM + 2)]],
        "failed": [
            None,
            [{"id": 1, "attempt": 1}],
            [{"id": 1, "attempt": 1, "error": 5}],
            [{"id": 1, "attempt": 1, "error": "x"}] * 2,
        ],
        "heartbeats": [None, [{"id": 1, "attempt": 0}], [{"id": 1, "attempt": 1, "progress": 101}]]
        + [[{"id": 1, "attempt": 1, "note": bad}] for bad in ("x" * (NOTE_LENGTH + 1), *NO_CHARACTERS)],
        "released": [None, 5, [{"id": 1}], [{"id": 1, "attempt": 1, "run_in": -1}], [{"id": 1, "attempt": 1}] * 2],
        "claim": [5, [], "all", {"limit": 0}, {"limit": MAX_CLAIM + 1}, {"wait": 31}, {"kinds": "sum"}, {"x": 1}],
    },
    "POST /heartbeat": {"version": [*text(100, null=True), *NO_NAMES]},
    "POST /hello": {
        "instance": text(100, least=1),
        "version": [*text(100, null=True), *NO_NAMES],
        "alone": YES_OR_NO,
        "holds": ["all", 5, {}, [1], [[]], [[1]], [[1, 2, 3]], [[1, 1]] * 10_001]
        + [[[bad, 1]] for bad in ("1", 1.5, True, None, 0, -1, 2**63, 10**100)]
        + [[[1, bad]] for bad in ("1", 1.5, True, None, 0, -1, 2**31)],
    },
    "POST /jobs/{job_id}/start": LEASE,
    "POST /jobs/{job_id}/heartbeat": LEASE
    | {"progress": whole(0, 100, null=True), "note": text(NOTE_LENGTH, null=True)},
    "POST /jobs/{job_id}/complete": LEASE | {"result": anything(site.MAX_RESULT_BYTES)},
    "POST /jobs/{job_id}/fail": LEASE | {"error": text(ERROR_LENGTH), "retry": YES_OR_NO, "retry_in": SECONDS},
    "POST /jobs/{job_id}/release": {"attempt": whole(1, 2**31 - 1, null=True), "run_in": SECONDS, **REASON},
    "POST /jobs/{job_id}/cancel": REASON,
    "POST /jobs/{job_id}/retry": REASON,
    "POST /jobs": {
        "kind": KIND,
        "payload": anything(site.MAX_PAYLOAD_BYTES),
        "priority": whole(-PRIORITY_LIMIT, PRIORITY_LIMIT),
        "run_at": TIME,
        "key": text(KEY_LENGTH, null=True, least=1),
        "max_attempts": whole(1, MAX_ATTEMPTS_LIMIT, null=True),
        "unique": [5, True, [], "x", "unfinished", "pending", None],
        "on_conflict": [5, True, [], "x", "replace", None],
        **dict.fromkeys(("delay", "run_within", "heartbeat_within", "backoff"), SECONDS),
        "start_by": TIME,
        "group": text(GROUP_LENGTH, null=True, least=1),
    },
    "POST /throttle": {
        "kind": KIND,
        "group": text(GROUP_LENGTH, null=True, least=1),
        "for": [*SECONDS, 0, 3601, None],
        **REASON,
    },
    "POST /jobs/bulk": {
        "jobs": [None, 5, "a", {}, [], [5], [None], [[]], [{}], [{"kind": "sum"}] * (MAX_BULK + 1)]
        + [[{"kind": "sum"}, {"kind": bad}] for bad in KIND],
    },
    "POST /jobs/delete": {
        "filter": [None, 5, [], "sum", {}, {"kind": 5}, {"kind": [None]}, {"status": "lost"}, {"payload": []}, {"x": 1}]
        + [{"key": [bad]} for bad in ("", "x" * (KEY_LENGTH + 1), *NO_CHARACTERS)]
        + [{"created_before": bad} for bad in TIME],
        "dry_run": YES_OR_NO,
        "most": whole(1, 10_000),
        "cursor": CURSOR,
        **REASON,
    },
    "POST /bots": {
        "name": [*text(NAME_LENGTH, least=1), *NO_NAMES],
        "kinds": kind_names(),
        "capacity": whole(1, MAX_CLAIM, null=True),
        "expected": YES_OR_NO,
    },
    "POST /bots/{bot_id}/expect": {"expected": YES_OR_NO, **REASON},
    "POST /bots/{bot_id}/pause": REASON,
    "POST /bots/{bot_id}/resume": REASON,
    "POST /bots/{bot_id}/restart": REASON,
    "POST /incidents/{incident_id}/acknowledge": {"remark": text(REMARK_LENGTH)},
}
SLOTS = ["all", 5, [], {"all": 1}, {"all": -1, "free": 0, "lost": 0}, {"all": "1", "free": 0, "lost": 0}]
HOLDS = ["all", 5, {}, [1], [[]], [[1]]]
NAMED = [5, True, [], {}, "x" * (NAME_LENGTH + 1)]
WHY = [5, True, [], "x" * (REASON_LENGTH + 1)]
MOMENT = ["tomorrow", True, [], "2026-01-01", "2026-13-01T00:00:00Z", "1900000000", "9999-12-31T23:59:59-01:00"]
TIMING = {
    "cron": [5, True, [], "x" * 201],
    "every": ["x", [], 0, -1, 1.5, 10**100],
    "time_zone": [5, True, [], "x" * 65],
    "starts_at": MOMENT,
    "ends_at": MOMENT,
}
#: What the calls of instances and of schedules refuse.
WRONG_TOO: dict[str, dict[str, list[Any]]] = {
    "POST /bots/{bot_id}/pause": {"instance": NAMED, "until": MOMENT},
    "POST /bots/{bot_id}/resume": {"instance": NAMED},
    "POST /bots/{bot_id}/restart": {"instance": NAMED},
    "POST /claim": {"slots": SLOTS},
    "POST /exchange": {"slots": SLOTS},
    "POST /goodbye": {"instance": [5, True, [], "", "x" * 101]},
    "POST /heartbeat": {"holds": HOLDS, "slots": SLOTS},
    "POST /hello": {
        "host": [5, True, [], "x" * 101],
        "identity": [5, True, [], "x" * 101],
        "kinds": ["sum", 5, {"a": 1}, [""], [5]],
        "pid": ["1", 1.5, True, [], -1, 2**31],
        "slots": SLOTS,
    },
    "POST /schedules/preview": TIMING,
    "POST /schedules/{name}/pause": {"reason": WHY, "until": MOMENT},
    "POST /schedules/{name}/resume": {"reason": WHY},
    "POST /schedules/{name}/run": {"reason": WHY},
    "POST /schedules/{name}/skip": {"reason": WHY},
    "POST /audit/{entry_id}/take_back": {"reason": WHY, "cursor": CURSOR},
    "PATCH /jobs/{job_id}": {"reason": WHY, "run_at": MOMENT, "payload": ["x" * site.MAX_PAYLOAD_BYTES]},
    "POST /jobs/{job_id}/release": {"to_another": YES_OR_NO},
    "POST /error-groups/{group_id}/resolve": {"reason": WHY},
    "POST /error-groups/{group_id}/ignore": {"reason": WHY},
    "POST /error-groups/{group_id}/retry": {"reason": WHY, "most": whole(1, MOST_RETRIED)},
    "PUT /schedules/{name}": TIMING
    | {
        "catch_up": ["x", 5, [], None],
        "catch_up_within": ["x", [], -1, 10**100],
        "key": [5, True, [], "", "x" * (KEY_LENGTH + 1)],
        "kind": [5, None, [], "", "no spaces", "x" * (NAME_LENGTH + 1)],
        "overlap": ["x", 5, [], None],
        "payload": ["x" * site.MAX_PAYLOAD_BYTES],
        "priority": whole(-PRIORITY_LIMIT, PRIORITY_LIMIT),
        "group": [5, True, [], "x" * (GROUP_LENGTH + 1)],
    },
}
for name, fields in WRONG_TOO.items():
    WRONG[name] = WRONG.get(name, {}) | fields

FIELDS = [(name, field) for name, fields in WRONG.items() for field in fields]

Send = Callable[..., HttpResponse]


lasting_rows, ada, olga, olga_key, places = (
    lasting.lasting_rows,
    lasting.ada,
    lasting.olga,
    lasting.olga_key,
    of_calls.places,
)


@pytest.fixture
def lease(ada: Bot, db: None) -> Lease:
    return take_one(ada)


@pytest.fixture
def post(client: Client, places: dict, ada_token: str, olga_key: str, db: None) -> Send:
    """`post(call, body)`: by somebody who may, to a job that ada holds."""

    def to(call: Call, body: Any, **headers: str) -> HttpResponse:
        path = call.path.format(**places["held"])
        return send(client, ada_token if call.for_bots else olga_key, call.method, path, body, **headers)

    return to


def good(call: Call) -> dict[str, Any]:
    return dict(call.body_of(BOT))


# --- Fields ---------------------------------------------------------------------------------------------------


def test_every_field_of_every_call_is_tried() -> None:
    schema = api.get_openapi_schema()
    there = set()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                body = operation["requestBody"]["content"]["application/json"]["schema"]
                ref = body.get("$ref") or body["allOf"][0]["$ref"]
                fields = schema["components"]["schemas"][ref.rsplit("/", 1)[1]]["properties"]
                there |= {(f"{method.upper()} {path.removeprefix(PREFIX)}", field) for field in fields}
    assert there == set(FIELDS)


@pytest.mark.parametrize(("call", "field"), FIELDS, ids=str)
def test_what_a_field_cannot_be_is_refused_by_its_name(post: Send, call: str, field: str) -> None:
    before = rows()
    for wrong in WRONG[call][field]:
        answer = post(BY_NAME[call], good(BY_NAME[call]) | {field: wrong})
        assert answer.status_code == 422, (
            f"{field} = {str(wrong)[:60]!r}: {answer.status_code} {answer.content[:300]!r}"
        )
        problem = refused(answer, 422, "invalid")
        assert problem["detail"].startswith(field), f"{field} = {str(wrong)[:60]!r}: {problem['detail'][:300]}"
        assert len(answer.content) < 10_000
    assert rows() == before


@pytest.mark.parametrize("call", POSTS, ids=str)
def test_a_field_that_nobody_knows_is_named(post: Send, call: Call) -> None:
    before = rows()
    assert "surprise" in refused(post(call, good(call) | {"surprise": 1}), 422, "invalid")["detail"]
    assert rows() == before


@pytest.mark.parametrize("call", REQUIRED, ids=str)
def test_a_field_that_must_be_there_is_named_when_it_is_not(post: Send, call: Call) -> None:
    before = rows()
    for field in good(call):
        body = {name: value for name, value in good(call).items() if name != field}
        # A schedule's rule is in one of two fields.
        named = "body" if call.path == "/schedules/preview" else field
        assert refused(post(call, body), 422, "invalid")["detail"].startswith(f"{named}:")
    assert rows() == before


def test_a_bot_that_releases_names_its_attempt_and_an_operator_none(client, lease, ada_token, olga_key) -> None:
    path = f"/jobs/{lease.id}/release"
    assert refused(send(client, ada_token, "POST", path, {}), 422, "invalid")["detail"].startswith("attempt:")
    answer = send(client, olga_key, "POST", path, {"attempt": 1})
    assert refused(answer, 422, "invalid")["detail"].startswith("attempt:")
    assert lease.job.status == "processing"


def test_in_bulk_the_bad_job_is_named_by_its_place(post: Send) -> None:
    jobs = [{"kind": "sum"}] * 3 + [{"kind": "sum", "priority": "high"}]
    problem = refused(post(BY_NAME["POST /jobs/bulk"], {"jobs": jobs}), 422, "invalid")
    assert problem["detail"].startswith("jobs[3].priority:")
    assert problem["errors"][0]["field"] == "jobs[3].priority"


def test_what_a_field_can_just_be_is_taken(post: Send) -> None:
    full = {
        "kind": "k" * NAME_LENGTH, "payload": "x" * (site.MAX_PAYLOAD_BYTES - 2), "priority": -PRIORITY_LIMIT,
        "run_at": "8999-12-31T23:59:59+14:00", "key": "\N{SNOWMAN}" * KEY_LENGTH, "max_attempts": MAX_ATTEMPTS_LIMIT,
    }  # fmt: skip
    answer = post(BY_NAME["POST /jobs"], full)
    assert answer.status_code == 201, answer.content[:300]
    job = Job.objects.get(pk=answer.json()["id"])
    assert (job.payload, job.key, job.kind_id) == (full["payload"], full["key"], full["kind"])


# --- Bodies ---------------------------------------------------------------------------------------------------

NOT_JSON = {
    "half": b'{"a": ',
    "two": b"{}{}",
    "a form": b"attempt=1",
    "single quotes": b"{'attempt': 1}",
    "latin-1": '{"reason": "ü"}'.encode("latin-1"),
    "utf-16": '{"attempt": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"attempt": 1}',
    "half of a surrogate in utf-8": b'{"reason": "\xed\xa0\x80"}',
    "an overlong nul": b'{"reason": "\xc0\x80"}',
    "a raw control character": b'{"reason": "a\x00b"}',
    "NaN": b'{"attempt": NaN}',
    "Infinity": b'{"attempt": -Infinity}',
    "1e400": b'{"attempt": 1e400}',
    "5000 digits": b'{"attempt": ' + b"9" * 5000 + b"}",
    "10000 lists deep": b'{"attempt": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "10000 lists deep and not closed": b"[" * 10_000,
    "10000 objects deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
}


@pytest.mark.parametrize("call", POSTS, ids=str)
def test_json_is_not_compressed(post: Send, call: Call) -> None:
    before = rows()
    for content, encoding in ((gzip.compress(json.dumps(good(call)).encode()), "gzip"), (good(call), "br")):
        problem = refused(post(call, content, **{"Content-Encoding": encoding}), 400, "bad_request")
        assert "only NDJSON and CSV may be compressed" in problem["detail"]
        assert problem["errors"][0]["field"] == "Content-Encoding"
    assert rows() == before


@pytest.mark.parametrize("call", POSTS, ids=str)
def test_what_is_not_json_in_utf_8_is_a_bad_request(post: Send, call: Call) -> None:
    before = rows()
    for name, body in NOT_JSON.items():
        answer = post(call, body)
        assert answer.status_code == 400, f"{name}: {answer.status_code} {answer.content[:300]!r}"
        refused(answer, 400, "bad_request")
    assert rows() == before


@pytest.mark.parametrize("call", POSTS, ids=str)
def test_a_body_that_is_no_object_is_refused(post: Send, call: Call) -> None:
    before = rows()
    for body in (b"[]", b'"text"', b"5", b"true", b'[{"attempt": 1}]'):
        answer = post(call, body)
        assert answer.status_code == 422, f"{body!r}: {answer.status_code} {answer.content[:300]!r}"
        refused(answer, 422, "invalid")
    assert rows() == before


@pytest.mark.parametrize("call", REQUIRED, ids=str)
def test_no_body_at_all_is_refused_where_there_must_be_one(post: Send, call: Call) -> None:
    before = rows()
    for body in (b"", b"null", b"{}"):
        refused(post(call, body), 422, "invalid")
    assert rows() == before


@pytest.mark.parametrize("call", POSTS, ids=str)
def test_a_body_that_is_too_long_is_refused_by_its_length(post: Send, settings: Any, call: Call) -> None:
    settings.MAX_BODY_BYTES = settings.MAX_BULK_BODY_BYTES = 1000
    before = rows()
    problem = refused(post(call, b" " * 1001 + json.dumps(good(call)).encode()), 413, "too_large")
    assert "1000" in problem["detail"]
    assert rows() == before


def test_only_bulk_takes_the_long_bodies_that_bulk_takes(post: Send, settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100
    body = {"jobs": [{"kind": "sum"}] * 20}
    assert post(BY_NAME["POST /jobs/bulk"], body).status_code == 201
    refused(post(BY_NAME["POST /jobs"], body), 413, "too_large")


def test_a_depth_that_is_just_allowed_is_taken(post: Send) -> None:
    deep: Any = 1
    # The body and its field are two of the levels.
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    assert post(BY_NAME["POST /jobs"], {"kind": "sum", "payload": deep}).status_code == 201


# --- Headers, queries and paths -------------------------------------------------------------------------------


@pytest.mark.parametrize("instance", ["x" * 101, "a\x01b", "a\x7fb", "a\tb", "a\x85b"])
def test_a_bad_instance_is_named(post: Send, instance: str) -> None:
    before = rows()
    problem = refused(post(BY_NAME["POST /claim"], {}, **{"Bot-Instance": instance}), 422, "invalid")
    assert problem["detail"].startswith("Bot-Instance:")
    assert rows() == before


NUMBERS = ("0", "-1", "x", "1.5", "1e3", "+5", "%C2%B2", "%D9%A1", "%00", str(2**63), "9" * 5000)
QUERIES = {
    "/jobs": {
        "status": ("lost", "PENDING", "%00"),
        "kind": ("%00", "x" * (NAME_LENGTH + 1)),
        "bot": ("%00", "x" * (NAME_LENGTH + 1)),
        "limit": (*NUMBERS, "1001"),
        "cursor": NUMBERS,
        "surprise": ("1", ""),
    },
    "/bots": {
        "status": ("lost", "%00"),
        "health": ("well", "%00"),
        "limit": (*NUMBERS, "1001"),
        "cursor": NUMBERS,
        "surprise": ("1", ""),
    },
}


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in QUERIES.items() for name in names], ids=str)
def test_a_bad_filter_is_named(client: Client, olga_key: str, path: str, name: str) -> None:
    for value in QUERIES[path][name]:
        problem = refused(send(client, olga_key, "GET", f"{path}?{name}={value}"), 422, "invalid")
        assert problem["detail"].startswith(f"{name}:")


def test_a_filter_that_fits_nothing_finds_nothing(client: Client, lease: Lease, olga_key: str) -> None:
    for query in ("bot=nobody", "bot=999999999999999999", f"bot={'9' * 30}", "kind=none", "kind=%ED%A0%80", "kind=%FF"):
        answer = send(client, olga_key, "GET", f"/jobs?{query}")
        assert (answer.status_code, answer.json()["jobs"]) == (200, []), query


@pytest.mark.parametrize("call", [call for call in CALLS if "{" in call.path and call.method != "PUT"], ids=str)
def test_what_does_not_exist_is_not_found(client: Client, ada_token: str, olga_key: str, call: Call) -> None:
    before = rows()
    for number in ("0", "-1", "x", "1.5", "%00", "%C2%B2", "9" * 30, str(2**63), str(2**63 - 1), "999999999"):
        path = re.sub("{[a-z_]+}", number, call.path)
        callers = [(ada_token, call.body_of(BOT))] if call.for_bots else []
        callers += [(olga_key, call.body)] if call.needs else []
        for token, body in callers:
            refused(send(client, token, call.method, path, body), 404, "not_found")
    assert rows() == before


# --- Refusals that are nobody's field ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nothing", "/jobs/1/nothing", "/jobs/", "/", "/claim/%00", "/bots/1/2/3"])
def test_a_path_that_is_not_there_is_a_problem(client: Client, db: None, path: str) -> None:
    refused(send(client, None, "GET", path), 404, "not_found")


@pytest.mark.parametrize("path", sorted({call.path for call in CALLS}))
def test_a_method_that_is_not_there_is_a_problem_and_says_which_are(client: Client, db: None, path: str) -> None:
    there = {call.method for call in CALLS if call.path == path}
    url = path.format(job_id=1, bot_id=1, incident_id=1, name="nightly", group_id=1, entry_id=1)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - there:
        answer = send(client, None, method, url)
        refused(answer, 405, "method_not_allowed")
        assert there <= {name.strip() for name in answer["Allow"].split(",")}


def test_a_wrong_host_is_a_problem(client: Client, ada_token: str) -> None:
    refused(send(client, ada_token, "POST", "/claim", {}, Host="elsewhere.example"), 400, "bad_request")


def test_a_content_length_that_is_no_number_is_a_problem(client: Client, ada_token: str) -> None:
    refused(send(client, ada_token, "POST", "/claim", {}, **{"Content-Length": "many"}), 400, "bad_request")


@pytest.mark.parametrize("verb", ["claim", "complete"])
def test_our_own_fault_is_a_problem_that_gives_nothing_away(post: Send, monkeypatch: Any, verb: str) -> None:
    def fall(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(lifecycle, "take_turn" if verb == "claim" else verb, fall)
    call = next(call for call in CALLS if call.path.endswith(verb))
    answer = post(call, good(call))
    refused(answer, 500, "server_error")
    assert b"secret" not in answer.content


@pytest.mark.parametrize("number", ["1", "1e300"])
@pytest.mark.parametrize(
    ("fault", "code"), [(OperationalError("secret"), "outcome_unknown"), (PoolTimeout("secret"), "unavailable")]
)
def test_a_database_that_is_away_is_a_problem_that_passes(
    post: Send, monkeypatch: Any, fault: Exception, code: str, number: str
) -> None:
    def fall(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(lifecycle, "take_turn", fall)
    # A number that may be out of range is read by Django.
    body = f'{{"completed": [{{"id": 1, "attempt": 1, "result": {number}}}]}}'.encode()
    answer = post(BY_NAME["POST /exchange"], body)
    refused(answer, 503, code)
    assert int(answer["Retry-After"]) >= 1
    assert b"secret" not in answer.content
