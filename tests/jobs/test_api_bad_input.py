"""Bad input: for every call and every field a 4xx that names it, and never a 500."""

import json

import pytest

from jobs import lifecycle
from tests.jobs.test_api_permissions import BOT, CALLS, EITHER, PREFIX

POSTS = [call for call in CALLS if call[0] == "post"]
#: A body in which every text field is given, so that each can be spoilt in turn.
FULL = {
    "/claim": {"limit": 1, "kinds": ["sum"], "wait": 0, "start": True},
    "/heartbeat": {"version": "1"},
    "/hello": {"instance": "one", "version": "1", "alone": True},
    "/jobs/{job_id}/start": {"attempt": 1},
    "/jobs/{job_id}/heartbeat": {"attempt": 1, "progress": 5, "note": "so far"},
    "/jobs/{job_id}/complete": {"attempt": 1, "result": {"sum": 3}},
    "/jobs/{job_id}/fail": {"attempt": 1, "error": "it broke", "retry": True},
    "/jobs/{job_id}/release": {"reason": "why"},
    "/jobs": {
        "kind": "sum",
        "payload": {},
        "priority": 1,
        "run_at": "2026-01-01T00:00:00Z",
        "key": "k",
        "max_attempts": 2,
    },
    "/jobs/bulk": {"jobs": [{"kind": "sum"}]},
    "/jobs/{job_id}/cancel": {"reason": "why"},
    "/jobs/{job_id}/retry": {"reason": "why"},
    "/bots": {"name": "carl", "kinds": ["sum"], "capacity": 2},
    "/bots/{bot_id}/pause": {"reason": "why"},
    "/bots/{bot_id}/resume": {"reason": "why"},
    "/bots/{bot_id}/restart": {"reason": "why"},
}
FIELDS = [(call, field) for call in POSTS for field in FULL[call[1]]]
#: Fields that take any JSON: there a wrong type does not exist.
ANY = {"payload", "result"}


@pytest.fixture
def send(client, held_by, ada, ada_token, olga_key):
    """`send(call, body)`: with the right token; `body` is bytes, or anything that is JSON."""
    lease = held_by(ada)

    def post(call, body, **headers):
        token = ada_token if CALLS[call][0] == BOT else olga_key
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = PREFIX + call[1].format(job_id=lease.id, bot_id=ada.pk)
        headers = {"Authorization": f"Bearer {token}"} | headers
        return client.generic("POST", url, data, content_type="application/json", headers=headers)

    return post


def refused(answer, *statuses):
    """The problem an answer tells of, which is one of these."""
    assert answer.status_code in statuses, answer.content[:500]
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["code"]
    assert problem["detail"]
    return problem


def name(call):
    return call[1]


@pytest.mark.parametrize("call", POSTS, ids=name)
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"\xff\xfe{}",
        b'{"a": NaN}',
        b'{"a": 1e400}',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_not_json_is_refused(send, call, body):
    refused(send(call, body), 400, 422)


@pytest.mark.parametrize("call", POSTS, ids=name)
@pytest.mark.parametrize("body", [[], "text", 5, True])
def test_a_body_that_is_no_object_is_refused(send, call, body):
    refused(send(call, body), 422)


@pytest.mark.parametrize("call", POSTS, ids=name)
def test_an_unknown_field_is_named(send, call):
    assert "surprise" in refused(send(call, FULL[call[1]] | {"surprise": 1}), 422)["detail"]


@pytest.mark.parametrize("call", POSTS, ids=name)
def test_a_huge_body_is_too_large(send, call, settings):
    settings.MAX_BODY_BYTES = settings.MAX_BULK_BODY_BYTES = 1000
    refused(send(call, b'{"a": "' + b"x" * 2000 + b'"}'), 413)


@pytest.mark.parametrize("call", POSTS, ids=name)
def test_deep_nesting_is_refused(send, call):
    refused(send(call, b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), 400, 422)


@pytest.mark.parametrize(("call", "field"), FIELDS, ids=str)
def test_a_wrong_type_is_named(send, call, field):
    if field in ANY:
        return
    for wrong in ({"a": 1}, [[]], 1.5, "\u2603" * 20):
        if isinstance(wrong, str) and isinstance(FULL[call[1]][field], str) and field not in ("kind", "run_at"):
            continue
        if field == "wait" and wrong == 1.5:
            continue
        assert field in refused(send(call, FULL[call[1]] | {field: wrong}), 422)["detail"]


@pytest.mark.parametrize(("call", "field"), FIELDS, ids=str)
def test_a_nul_or_half_a_surrogate_is_refused_wherever_it_stands(send, call, field):
    body = FULL[call[1]]
    for bad in ("a\0b", "\ud800"):
        spoilt = {"deep": [bad]} if field in ANY else [bad] if isinstance(body[field], list) else bad
        refused(send(call, body | {field: spoilt}), 400, 422)


@pytest.mark.parametrize(("call", "field"), FIELDS, ids=str)
def test_an_over_long_text_is_named(send, call, field):
    if isinstance(FULL[call[1]][field], str) or field in ANY:
        assert field in refused(send(call, FULL[call[1]] | {field: "x" * 300_000}), 422)["detail"]


@pytest.mark.parametrize(("call", "field"), FIELDS, ids=str)
def test_a_number_out_of_range_is_named(send, call, field):
    if isinstance(FULL[call[1]][field], int) and not isinstance(FULL[call[1]][field], bool):
        for wrong in (-(2**31) - 1, 2**31, 2**63, 10**100):
            assert field in refused(send(call, FULL[call[1]] | {field: wrong}), 422)["detail"]


@pytest.mark.parametrize(
    "missing",
    [
        ("/hello", "instance"),
        ("/jobs", "kind"),
        ("/jobs/bulk", "jobs"),
        ("/bots", "name"),
        ("/jobs/{job_id}/complete", "attempt"),
        ("/jobs/{job_id}/fail", "error"),
    ],
    ids=str,
)
def test_a_missing_field_is_named(send, missing):
    path, field = missing
    body = {k: v for k, v in FULL[path].items() if k != field}
    assert field in refused(send(("post", path), body), 422)["detail"]


def test_a_bot_that_releases_must_name_its_attempt(client, held_by, ada, ada_token):
    lease = held_by(ada)
    headers = {"Authorization": f"Bearer {ada_token}"}
    answer = client.post(f"{PREFIX}/jobs/{lease.id}/release", {}, content_type="application/json", headers=headers)
    assert "attempt" in refused(answer, 422)["detail"]


@pytest.mark.parametrize(
    "query", ["status=lost", "limit=0", "limit=x", "cursor=-1", "kind=%00", "surprise=1", "bot=%00"]
)
def test_a_bad_filter_is_named(client, olga_key, query):
    answer = client.get(f"{PREFIX}/jobs?{query}", headers={"Authorization": f"Bearer {olga_key}"})
    assert query.split("=")[0] in refused(answer, 422)["detail"]


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "9" * 30, "%00", "²"])
def test_an_id_that_cannot_be_is_not_found(client, olga_key, number):
    answer = client.get(f"{PREFIX}/jobs/{number}", headers={"Authorization": f"Bearer {olga_key}"})
    refused(answer, 404)


def test_a_bad_instance_header_is_named(send):
    call = ("post", "/claim")
    assert "Bot-Instance" in refused(send(call, {}, **{"Bot-Instance": "x" * 101}), 422)["detail"]


def test_a_wrong_path_and_a_wrong_method_are_problems(client):
    assert refused(client.get(f"{PREFIX}/nothing"), 404)["code"] == "not_found"
    answer = client.delete(f"{PREFIX}/jobs")
    assert refused(answer, 405)["code"] == "method_not_allowed"
    assert "GET" in answer["Allow"]


def test_our_own_fault_is_a_problem_that_gives_nothing_away(send, monkeypatch):
    def fall(*arguments, **more):
        raise RuntimeError("a secret")

    monkeypatch.setattr(lifecycle, "claim", fall)
    problem = refused(send(("post", "/claim"), {}), 500)
    assert problem["code"] == "server_error"
    assert "secret" not in json.dumps(problem)


def test_the_doors_of_all_calls_are_known():
    assert {call[1] for call in POSTS} == set(FULL)
    assert CALLS["post", "/jobs/{job_id}/release"][0] == EITHER
