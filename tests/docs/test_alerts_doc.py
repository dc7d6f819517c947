"""`docs/alerts.md`: its code is run on what a real receiver got, its tables and figures are the code's."""

import json
import re
from typing import Any

import pytest

from alerts.admin.forms import ChannelForm
from alerts.delivery import addresses, outbox, timing
from alerts.delivery.dispatch import send_due
from alerts.delivery.signing import headers
from alerts.models import Channel, Delivery, Incident, new_secret
from alerts.states import Moment
from tests.docs.reading import table, text_of, word
from tests.far_side import Receiver, a_channel, an_incident

DOC = "docs/alerts.md"


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", text_of(DOC), re.S)
    return str(found)


@pytest.fixture
def is_from_jobsite() -> Any:
    """The function that the page tells people to use."""
    names: dict[str, Any] = {}
    exec(block("python"), names)
    return names["is_from_jobsite"]


@pytest.mark.django_db
def test_the_code_on_the_page_knows_our_messages_from_others(
    receiver: Receiver, inside_allowed: None, is_from_jobsite: Any
) -> None:
    channel = a_channel(receiver.url())
    outbox.enqueue_notifications(an_incident("ada", title="Übergang – stuck"), Moment.OPENED)
    send_due()
    (got,) = receiver.got
    assert is_from_jobsite(channel.secret, got.headers, got.body)
    assert not is_from_jobsite(new_secret(), got.headers, got.body)
    assert not is_from_jobsite(channel.secret, got.headers, got.body + b" ")
    later = str(int(got.headers["webhook-timestamp"]) + 1)
    assert not is_from_jobsite(channel.secret, got.headers | {"webhook-timestamp": later}, got.body)
    old = headers(channel.secret, int(later) - 400, got.body.decode(), got.headers["webhook-id"])
    assert not is_from_jobsite(channel.secret, old, got.body)


@pytest.mark.django_db
def test_the_body_on_the_page_has_the_fields_that_are_sent(receiver: Receiver, inside_allowed: None) -> None:
    a_channel(receiver.url())
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    send_due()
    real, shown = json.loads(receiver.got[0].body), json.loads(block("json"))
    assert set(shown) == set(real)
    assert set(shown["incident"]) == set(real["incident"])
    assert set(shown["bots"][0]) == set(real["bots"][0])


def test_headers_are_those_that_are_sent() -> None:
    listed = {word(row[title]) for title in ("header", "former header") for row in table(DOC, title, "has")}
    sent = headers("s", 1, "", "id") | headers(new_secret(), 1, "", "id")
    assert listed == set(sent) - {"Content-Type", "User-Agent"}


def test_fields_are_called_as_in_the_form() -> None:
    labels = {str(field.label) for field in ChannelForm().fields.values()}
    listed = {row["field"] for row in table(DOC, "field", "means")}
    assert listed - {"Quiet hours start, end"} <= labels
    assert {"Quiet hours start", "Quiet hours end"} <= labels


def test_examples_are_those_of_the_form() -> None:
    for example in addresses.EXAMPLES:
        assert example.removesuffix(" (Teams)") in text_of(DOC)


def test_figures_are_the_codes() -> None:
    text = " ".join(text_of(DOC).split())
    assert f"repeated after {timing.FIRST_PAUSE.seconds} seconds" in text
    assert f"up to {timing.LONGEST_PAUSE.seconds // 60} minutes" in text
    assert f"After {timing.GIVE_UP_AFTER.days * 24} hours it is given up" in text
    assert timing.MAX_CHANNELS_AT_ONCE == 8
    assert f"A try may take {timing.SEND_WITHIN.seconds} seconds. Eight channels" in text
    assert timing.SENDER_LEASE.seconds == 60 and "keeps its channel for a minute" in text
    assert f"first {addresses.ANSWER_LENGTH} characters" in text


def test_permissions_named_here_and_in_operations_exist() -> None:
    named = set(re.findall(r"`alerts\.(\w+)`", text_of(DOC) + text_of("docs/operations.md")))
    named -= {"apart", "guard"}
    ours = {code for model in (Channel, Delivery, Incident) for code, _ in model._meta.permissions}
    plain = {f"{verb}_{name}" for verb in ("add", "change", "view") for name in ("channel", "delivery", "incident")}
    assert {"retry_delivery", "test_channel"} <= named <= ours | plain
