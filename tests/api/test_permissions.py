"""The permission matrix: every call of the API, for everybody who might make it."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import QuerySet
from django.test import Client

from bots import roster, tokens
from bots.models import ApiKey, Bot
from jobs.api.v1 import api
from tests import lasting
from tests.api import places as of_calls
from tests.api.calls import BOT, BY_NAME, CALLS, PREFIX, Call, refused, rows, send
from tests.cast import bot_named

pytestmark = pytest.mark.django_db
lasting_rows, ada, olga, olga_key, places = (
    lasting.lasting_rows,
    lasting.ada,
    lasting.olga,
    lasting.olga_key,
    of_calls.places,
)

NOBODY = ("no token", "an unknown token", "a revoked bot", "a revoked key", "an inactive user")
PEOPLE = ("olga", "vera", "nora")


def is_allowed(call: Call, who: str) -> bool:
    """The rule of the whole matrix: olga may all that people may, vera may look, nora nothing; bots have their own."""
    if who == BOT:
        return call.for_bots
    return bool(call.needs) and (who == "olga" or (who == "vera" and call.method == "GET"))


@pytest.fixture
def token_of(request: pytest.FixtureRequest, olga_key: str, db: None) -> Callable[[str], str | None]:
    """`token_of(who)`: what this caller has to show."""
    good = {BOT: "ada_token", "vera": "vera_key", "nora": "nora_key"}

    def find(who: str) -> str | None:
        if who == "olga":
            return olga_key
        if who in good:
            return str(request.getfixturevalue(good[who]))
        if who == "no token":
            return None
        if who == "an unknown token":
            return tokens.new(tokens.KEY_PREFIX).text
        if who == "a revoked bot":
            bot = bot_named("rex")
            roster.revoke(Bot.objects.filter(pk=bot.pk))
            return str(bot.token)  # type: ignore[attr-defined]
        chief = User.objects.create_user(who, is_superuser=True)
        key, text = roster.create_key(chief)
        if who == "a revoked key":
            roster.revoke_keys(ApiKey.objects.filter(pk=key.pk))
        else:
            assert who == "an inactive user"
            User.objects.filter(pk=chief.pk).update(is_active=False)
        return text

    return find


def test_the_matrix_has_every_call_there_is() -> None:
    paths = api.get_openapi_schema()["paths"]
    there = {f"{method.upper()} {path.removeprefix(PREFIX)}" for path, methods in paths.items() for method in methods}
    assert there == set(BY_NAME)


ALLOWED = [(call, who) for call in CALLS for who in (BOT, *PEOPLE) if is_allowed(call, who)]


@pytest.mark.parametrize(("call", "who"), ALLOWED, ids=str)
def test_a_call_is_for_those_it_is_for(
    client: Client, places: dict, token_of: Callable[[str], str | None], call: Call, who: str
) -> None:
    path = call.path.format(**places[call.about])
    answer = send(client, token_of(who), call.method, path, call.body_of(who))
    assert answer.status_code == call.status, answer.content


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_is_for_nobody_else(
    client: Client, places: dict, token_of: Callable[[str], str | None], call: Call
) -> None:
    path = call.path.format(**places[call.about])
    for who in (who for who in (BOT, *PEOPLE) if not is_allowed(call, who)):
        token = token_of(who)
        before = rows()
        answer = send(client, token, call.method, path, call.body_of(who))
        assert answer.status_code == 403, who
        refused(answer, 403, "forbidden")
        assert rows() == before, who


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_without_a_good_token_nobody_gets_in(
    client: Client, places: dict, token_of: Callable[[str], str | None], call: Call
) -> None:
    path = call.path.format(**places[call.about])
    tokens_of = {who: token_of(who) for who in NOBODY}
    before = rows()
    for who, token in tokens_of.items():
        answer = send(client, token, call.method, path, call.body)
        assert answer.status_code == 401, who
        refused(answer, 401, "unauthorized")
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert rows() == before, who


@pytest.mark.parametrize("call", [call for call in CALLS if call.needs], ids=str)
def test_a_call_needs_its_own_permission_and_no_other(client: Client, nora: User, nora_key: str, places, call) -> None:
    path = call.path.format(**places[call.about])
    for missing in call.needs:
        nora.user_permissions.set(set(_permissions()) - set(_named(missing)))
        before = rows()
        assert missing in refused(send(client, nora_key, call.method, path, call.body), 403, "forbidden")["detail"]
        assert rows() == before
    nora.user_permissions.set(_named(*call.needs))
    assert send(client, nora_key, call.method, path, call.body).status_code == call.status


def _permissions() -> QuerySet[Permission]:
    return Permission.objects.filter(content_type__app_label__in=["jobs", "bots", "alerts"])


def _named(*names: str) -> list[Permission]:
    return [Permission.objects.get(content_type__app_label=n.split(".")[0], codename=n.split(".")[1]) for n in names]


def test_a_token_must_be_a_bearers(client: Client, ada_token: str) -> None:
    for header in (f"Basic {ada_token}", ada_token, "Bearer", "Bearer ", f"Bearer{ada_token}"):
        answer = client.post(f"{PREFIX}/claim", {}, content_type="application/json", headers={"Authorization": header})
        refused(answer, 401, "unauthorized")


def test_a_bot_may_not_report_on_what_another_bot_holds(client: Client, places, bob_token: str) -> None:
    before = rows()
    for verb, more in (("start", {}), ("heartbeat", {}), ("complete", {}), ("fail", {"error": "x"}), ("release", {})):
        path = f"/jobs/{places['held']['job_id']}/{verb}"
        refused(send(client, bob_token, "POST", path, {"attempt": 1} | more), 409, "lease_lost")
        assert rows() == before
