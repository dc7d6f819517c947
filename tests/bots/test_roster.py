"""Bots and keys come in, change their tokens, and go; only digests of tokens are kept."""

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection

from bots import roster, tokens
from bots.auth import bearer, recognise
from bots.models import ApiKey, Bot

pytestmark = pytest.mark.django_db


def test_a_registered_bot_is_recognised_by_its_token(ada: Bot, ada_token: str) -> None:
    assert recognise(ada_token) == ada


@pytest.mark.parametrize("token", ["", "jsb_", "jsk_", "jsb_" + "x" * 10_000, "\0", "é\ud800"])
def test_nobody_is_recognised_by_another_token(ada: Bot, olga_key: str, token: str) -> None:
    assert recognise(token) is None


def test_a_name_is_taken_once(ada: Bot) -> None:
    with pytest.raises(IntegrityError):
        roster.register(name="ada")


def test_the_token_itself_is_nowhere_in_the_database(ada: Bot, ada_token: str, olga_key: str) -> None:
    with connection.cursor() as cursor:
        for table, text in (("bots_bot", ada_token), ("bots_apikey", olga_key)):
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", [f"%{text[13:]}%"])
            assert cursor.fetchone() == (0,)


def test_the_visible_prefix_is_the_beginning_of_the_token(ada: Bot, ada_token: str) -> None:
    assert ada.token_prefix
    assert ada_token.startswith(ada.token_prefix)
    assert len(ada.token_prefix) < len(ada_token) / 2


def test_a_rotated_token_replaces_the_old_one_at_once(ada: Bot, ada_token: str) -> None:
    new = roster.rotate(ada)
    assert recognise(ada_token) is None
    assert recognise(new) == ada


def test_a_revoked_token_stops_working_at_once_and_others_work_on(
    ada: Bot, ada_token: str, bob: Bot, bob_token: str
) -> None:
    assert roster.revoke(Bot.objects.filter(pk=ada.pk)) == 1
    assert recognise(ada_token) is None
    assert recognise(bob_token) == bob
    assert roster.revoke(Bot.objects.filter(pk=ada.pk)) == 0


def test_two_bots_without_a_token_may_both_be(ada: Bot, bob: Bot) -> None:
    assert roster.revoke(Bot.objects.all()) == 2


def test_a_key_acts_as_its_user_until_it_is_revoked(olga: User, olga_key: str) -> None:
    key = recognise(olga_key)
    assert isinstance(key, ApiKey)
    assert key.user == olga
    assert roster.revoke_keys(ApiKey.objects.all()) == 1
    assert recognise(olga_key) is None
    assert roster.revoke_keys(ApiKey.objects.all()) == 0


def test_a_key_of_somebody_who_has_left_does_not_work(olga: User, olga_key: str) -> None:
    User.objects.filter(pk=olga.pk).update(is_active=False)
    assert recognise(olga_key) is None


def test_using_a_key_is_written_down(olga_key: str) -> None:
    recognise(olga_key)
    assert ApiKey.objects.get().last_used_at is not None


def test_pause_and_resume_say_how_many_were_changed(ada: Bot, bob: Bot) -> None:
    assert roster.pause(Bot.objects.filter(name="ada")) == 1
    assert roster.pause(Bot.objects.all()) == 1
    assert roster.resume(Bot.objects.all()) == 2
    assert roster.resume(Bot.objects.all()) == 0


def test_no_two_tokens_are_the_same() -> None:
    made = {tokens.new(tokens.BOT_PREFIX).text for _ in range(100)}
    assert len(made) == 100
    assert all(len(text) > 40 for text in made)


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", ""), ("Bearer", ""), ("", ""), ("abc", "")],
)
def test_the_token_is_what_follows_bearer(header: str, token: str) -> None:
    assert bearer(header) == token
