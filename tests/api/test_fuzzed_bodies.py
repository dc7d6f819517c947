"""Whatever a body says, a call answers it or refuses it by its fields: it never fails, and is never half done."""

import json
from typing import Any

from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.models import Job
from tests.api.calls import BOT, CALLS, PREFIX, Call, rows, send

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
POSTS = [call for call in CALLS if call.method == "POST"]
NESTED = ("payload", "limit", "kinds", "completed", "failed", "heartbeats", "claim", "holds", "key", "run_at")
NAMES = sorted({name for call in POSTS for body in (call.body, call.bot_body) for name in (body or {})} | {*NESTED})
FIELDS = st.sampled_from([*NAMES, "id", "x"])
TEXTS = ("sum", "", "\0", "\ud800", "a\u202eb", "2026-11-05T09:00:00Z", "9999-12-31T23:59:59Z")
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.integers(), st.floats(), st.text(max_size=6),
    st.sampled_from([*TEXTS, 2**63, 1e300]),
)  # fmt: skip
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=6,
)
BODIES = st.dictionaries(FIELDS, VALUES, max_size=4) | VALUES
JOBS = st.fixed_dictionaries({"kind": st.just("sum") | VALUES}, optional={"payload": VALUES, "key": VALUES})
LINES = st.lists(JOBS.map(json.dumps) | st.text(max_size=5), max_size=4)


@quick
@given(call=st.sampled_from(POSTS), change=BODIES, based=st.booleans())
def test_a_call_answers_any_body_or_refuses_it(
    client: Client, places: Any, ada_token: str, olga_key: str, call: Call, change: Any, based: bool
) -> None:
    body = change
    if based and isinstance(change, dict):
        body = {**call.body_of(BOT), **change}
    if isinstance(body, dict):
        # A call that waits would wait.
        body.pop("wait", None)
        if isinstance(body.get("claim"), dict):
            body["claim"].pop("wait", None)
    before = rows()
    token = ada_token if call.for_bots else olga_key
    path = call.path.format(**places[call.about])
    # Python writes NaN and halves of surrogate pairs, as broken clients do.
    answer = send(client, token, call.method, path, json.dumps(body).encode())
    assert answer.status_code < 500, (path, body, answer.content)
    if answer.status_code in (400, 422):
        assert answer.json()["errors"], (path, body)
    if answer.status_code in (400, 422, 413):
        assert rows() == before, (path, body)


@quick
@given(lines=LINES, csv=st.booleans(), skip=st.booleans(), end=st.sampled_from(["\n", "\r\n"]))
def test_a_stream_is_loaded_whole_or_not_at_all(
    client: Client, olga_key: str, lines: list[str], csv: bool, skip: bool, end: str
) -> None:
    text = end.join(["kind,payload", *lines] if csv else lines)
    before = Job.objects.count()
    answer = client.generic(
        "POST",
        f"{PREFIX}/jobs/bulk{'?bad=skip' if skip else ''}",
        text.encode("utf-8", "replace"),
        content_type="text/csv" if csv else "application/x-ndjson",
        headers={"Authorization": f"Bearer {olga_key}"},
    )
    assert answer.status_code in (201, 400, 422), answer.content
    made = Job.objects.count() - before
    if answer.status_code == 201:
        assert made == answer.json()["created"]
        assert skip or not answer.json().get("bad")
    else:
        assert made == 0
        assert answer.json()["errors"]
