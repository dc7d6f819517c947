"""The permission matrix: every call of the API, for everybody who might make it."""

import pytest
from django.contrib.auth.models import User

from bots import roster
from bots.models import ApiKey, Bot
from jobs.api.v1 import api
from jobs.models import Job, JobEvent, JobKind

PREFIX = "/api/v1"
BOT, WATCH, OPERATE, EITHER = "bot", "watch", "operate", "either"
#: Every call: who may make it, and a body that is good (None: it is a GET).
CALLS = {
    ("post", "/claim"): (BOT, {}),
    ("post", "/heartbeat"): (BOT, {}),
    ("post", "/hello"): (BOT, {"instance": "one"}),
    ("post", "/jobs/{job_id}/start"): (BOT, {"attempt": 1}),
    ("post", "/jobs/{job_id}/heartbeat"): (BOT, {"attempt": 1}),
    ("post", "/jobs/{job_id}/complete"): (BOT, {"attempt": 1}),
    ("post", "/jobs/{job_id}/fail"): (BOT, {"attempt": 1, "error": "it broke"}),
    ("post", "/jobs/{job_id}/release"): (EITHER, {}),
    ("post", "/jobs"): (OPERATE, {"kind": "sum"}),
    ("post", "/jobs/bulk"): (OPERATE, {"jobs": [{"kind": "sum"}]}),
    ("get", "/jobs"): (WATCH, None),
    ("get", "/jobs/{job_id}"): (WATCH, None),
    ("get", "/jobs/{job_id}/events"): (WATCH, None),
    ("post", "/jobs/{job_id}/cancel"): (OPERATE, {}),
    ("post", "/jobs/{job_id}/retry"): (OPERATE, {}),
    ("get", "/bots"): (WATCH, None),
    ("post", "/bots"): (OPERATE, {"name": "carl"}),
    ("get", "/bots/{bot_id}"): (WATCH, None),
    ("post", "/bots/{bot_id}/pause"): (OPERATE, {}),
    ("post", "/bots/{bot_id}/resume"): (OPERATE, {}),
    ("post", "/bots/{bot_id}/restart"): (OPERATE, {}),
    ("get", "/stuck"): (WATCH, None),
}
#: Who may pass which door. Everybody else with a good token gets 403, and without one 401.
ALLOWED = {
    "olga": {OPERATE, WATCH, EITHER},
    "vera": {WATCH},
    "nora": set(),
    "ada": {BOT, EITHER},
}
NOBODY = ["no token", "revoked bot", "revoked key", "unknown", "inactive user", "not bearer"]


@pytest.fixture
def tokens(ada_token, bob, bob_token, olga, olga_key, vera_key, nora_key):
    """Everybody's `Authorization` header."""
    roster.revoke(Bot.objects.filter(pk=bob.pk))
    _, revoked = roster.create_key(olga)
    roster.revoke_keys(ApiKey.objects.filter(digest=roster.tokens.digest(revoked)))
    gone = User.objects.create_user("gone", is_active=False, is_superuser=True)
    held = {
        "olga": olga_key, "vera": vera_key, "nora": nora_key, "ada": ada_token, "revoked bot": bob_token,
        "revoked key": revoked, "unknown": "jsb_" + "x" * 43, "inactive user": roster.create_key(gone)[1],
    }  # fmt: skip
    return {who: f"Bearer {token}" for who, token in held.items()} | {
        "no token": None,
        "not bearer": f"Basic {ada_token}",
    }


def make(client, call, header, lease):
    """One call with one header."""
    path = call[1]
    body = CALLS[call][1]
    url = PREFIX + path.format(job_id=lease.id, bot_id=lease.bot.pk)
    headers = {"Authorization": header} if header else {}
    if body is None:
        return client.get(url, headers=headers)
    return client.post(url, body, content_type="application/json", headers=headers)


def rows():
    """All that a call might have changed, but for the times at which somebody was seen."""
    seen = {"last_seen_at", "last_used_at"}
    models = (Job, JobEvent, JobKind, Bot, ApiKey)
    return [[{k: v for k, v in r.items() if k not in seen} for r in m.objects.order_by("pk").values()] for m in models]


def test_the_matrix_has_every_call_there_is():
    paths = api.get_openapi_schema()["paths"]
    there = {(method, path.removeprefix(PREFIX)) for path, methods in paths.items() for method in methods}
    assert there == set(CALLS)


@pytest.mark.parametrize("who", ALLOWED)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call))
def test_a_call_is_for_those_it_is_for(client, tokens, held_by, ada, call, who):
    lease = held_by(ada)
    before = rows()
    answer = make(client, call, tokens[who], lease)
    if CALLS[call][0] in ALLOWED[who]:
        assert answer.status_code not in (401, 403)
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert rows() == before


@pytest.mark.parametrize("who", NOBODY)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call))
def test_without_a_good_token_every_call_is_refused(client, tokens, held_by, ada, call, who):
    lease = held_by(ada)
    before = rows()
    answer = make(client, call, tokens[who], lease)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"
    assert rows() == before
