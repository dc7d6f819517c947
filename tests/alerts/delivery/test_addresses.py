"""Addresses of channels: which are refused, and that their secrets are shown nowhere."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from django.conf import settings as site

from alerts.delivery import addresses
from alerts.delivery.process import WorkerProcess
from alerts.states import Way

SECRET = "Zq8RkX2vLm5TyWc9"
OTHER = "hB7nP3dJ6sFg1uKe"

#: Addresses as people paste them, each with what is secret in it.
ADDRESSES = [
    (f"mailto://jobs:{SECRET}@mail.example.org?from=jobs@example.org&to=ops@example.org", [SECRET]),
    (f"mailtos://example.org?user={OTHER}&pass={SECRET}&smtp=8.8.8.8&to=ops@example.org", [SECRET, OTHER]),
    (f"slack://T1JJ3T3L2/A1BRTD4JD/{SECRET}abcdefgh/#ops", [f"{SECRET}abcdefgh", "T1JJ3T3L2", "A1BRTD4JD"]),
    (f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{SECRET}abcdefgh", [f"{SECRET}abcdefgh", "T1JJ3T3L2"]),
    (f"tgram://123456789:{SECRET}abcdefghijklmnopqrs/12345/", [f"{SECRET}abcdefghijklmnopqrs", "123456789"]),
    (f"pagerduty://{SECRET}@{OTHER}", [SECRET, OTHER]),
    (f"discord://4174216298/{SECRET}_{OTHER}", [f"{SECRET}_{OTHER}"]),
    (f"json://bob:{SECRET}@8.8.8.8:8080/{OTHER}?+Authorization=Bearer%20{OTHER}x&-key={OTHER}y", [SECRET, OTHER]),
    (f"gotify://8.8.8.8/{SECRET}", [SECRET]),
    (f"ntfy://bob:{SECRET}@ntfy.example.org/{OTHER}", [SECRET, OTHER]),
    (f"matrix://bob:{SECRET}@matrix.example.org/#room", [SECRET]),
    (f"mmost://chat.example.org/{SECRET}abcdefgh", [f"{SECRET}abcdefgh"]),
    (f"pover://u{SECRET}{SECRET[:13]}@a{OTHER}{OTHER[:13]}", [f"u{SECRET}{SECRET[:13]}", f"a{OTHER}{OTHER[:13]}"]),
    (f"workflows://prod-01.logic.example:443/643e69f83c8944/{SECRET}abc", [f"{SECRET}abc", "643e69f83c8944"]),
    ("json://8.8.8.8/x?+X-Key=p%C3%A4ss%2Fw%20rd", ["päss/w rd", "p%C3%A4ss%2Fw%20rd"]),
]
HOOKS = [(f"https://bob:{SECRET}@8.8.8.8/{OTHER}?token={OTHER}z#{SECRET}y", [SECRET, OTHER])]
EVERY = [(Way.APPRISE, *row) for row in ADDRESSES] + [(Way.WEBHOOK, *row) for row in HOOKS]


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[tuple[str, bool], WorkerProcess]]:
    """The processes that check, by what they may do."""
    started: dict[tuple[str, bool], WorkerProcess] = {}
    yield started
    for process in started.values():
        process.end()


@pytest.fixture(autouse=True)
def a_process_checks_many(monkeypatch: pytest.MonkeyPatch, processes: dict[tuple[str, bool], WorkerProcess]) -> None:
    """To start one takes longer than to check all addresses of this file."""

    def of(way: str) -> AbstractContextManager[WorkerProcess]:
        which = (way, site.ALERTS_ALLOW_PRIVATE)
        if which not in processes or processes[which].ended:
            processes[which] = WorkerProcess(way)
        return nullcontext(processes[which])

    monkeypatch.setattr(addresses, "WorkerProcess", of)


@pytest.mark.parametrize(("way", "address", "secrets"), EVERY)
def test_no_secret_is_in_what_is_shown_of_an_address(way: Way, address: str, secrets: list[str]) -> None:
    answer = addresses.check(way, address)
    assert answer.ok, answer.detail
    assert answer.shown
    for secret in secrets:
        assert secret.lower() not in f"{answer}".lower()
        # Not even its ends, which Apprise's own masking leaves.
        assert secret[:4].lower() not in f"{answer}".lower()


@pytest.mark.parametrize(("way", "address", "secrets"), EVERY)
def test_no_secret_is_in_what_the_far_side_says(way: Way, address: str, secrets: list[str]) -> None:
    said = f"403 no: {address} " + " ".join(f"'{secret}' {secret.upper()}" for secret in secrets)
    masked = addresses.mask_and_cut(said, address)
    for secret in secrets:
        assert secret.lower() not in addresses.mask(said, address).lower()
        assert secret.lower() not in masked.lower()
    assert masked.startswith("403 no: ")
    assert len(masked) <= addresses.ANSWER_LENGTH


def test_the_password_is_masked_where_a_library_encodes_it() -> None:
    address = "json://bob:se%2Fcret@8.8.8.8/"
    for spelled in ("Ym9iOnNlL2NyZXQ=", "se%2Fcret"):
        assert spelled not in addresses.mask(f"Authorization: {spelled}", address)
    assert addresses.mask("to 8.8.8.8: 401 no", address) == "to 8.8.8.8: 401 no"


def test_what_is_cut_off_is_masked_first() -> None:
    address = f"gotify://8.8.8.8/{SECRET}"
    said = "x" * (addresses.ANSWER_LENGTH - 5) + SECRET
    assert SECRET[:4] not in addresses.mask_and_cut(said, address)


def test_who_a_mail_is_from_and_to_may_be_read() -> None:
    (address, _) = ADDRESSES[0]
    said = "550 no mailbox ops@example.org at mail.example.org"
    assert addresses.mask_and_cut(said, address) == said


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("hello", "begins with a service"),
        ("nosuch://x", "no service called nosuch://"),
        ("slack://bad", "invalid Slack"),
        ("https://example.org/hook", "not a valid address for https://"),
        ("mailto://", "Invalid ~From~ email"),
        ("syslog://", "only reaches this machine"),
        ("dbus://", "only reaches this machine"),
        ("SYSLOG://", "only reaches this machine"),
        ("file:///etc/passwd", "no service called file://"),
        ("exec://rm", "no service called exec://"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#a?template=/etc/passwd", "template reads a file"),
        ("json://8.8.8.8/?attach=/etc/passwd", "attach reads a file"),
        ("fcm://project@key/token?keyfile=/etc/passwd", "keyfile reads a file"),
        ("discord://1/abc?x=file:///etc/passwd", "x reads a file"),
        ("mqtt://8.8.8.8/topic", "package that is not installed"),
    ],
)
def test_what_is_no_address_for_a_channel_is_refused_with_the_reason(address: str, why: str) -> None:
    answer = addresses.check(Way.APPRISE, address)
    assert not answer.ok
    assert why in answer.detail


INSIDE = [
    (Way.WEBHOOK, "http://127.0.0.1/"),
    (Way.WEBHOOK, "http://localhost:8000/"),
    (Way.WEBHOOK, "http://169.254.169.254/latest/meta-data"),
    (Way.WEBHOOK, "http://[::1]/"),
    (Way.WEBHOOK, "http://[::ffff:10.0.0.1]/"),
    (Way.WEBHOOK, "http://[fd00::1]/"),
    (Way.WEBHOOK, "http://2130706433/"),
    (Way.WEBHOOK, "http://0177.0.0.1/"),
    (Way.WEBHOOK, "http://0x7f000001/"),
    (Way.WEBHOOK, "http://127.1/"),
    (Way.WEBHOOK, "http://8.8.8.8@127.0.0.1/"),
    (Way.APPRISE, "json://192.168.0.7/x"),
    (Way.APPRISE, "jsons://localhost/x"),
    (Way.APPRISE, "gotify://10.0.0.1/AbCdEfGhIjKlMnO"),
    (Way.APPRISE, "mailto://jobs:pw@example.org?smtp=10.0.0.25&to=ops@example.org"),
    (Way.APPRISE, "mmost://100.64.0.1/3ccdd113474722377935511fc85d3dd4"),
]


@pytest.mark.parametrize(("way", "address"), INSIDE)
def test_an_address_inside_the_network_is_refused(way: Way, address: str) -> None:
    answer = addresses.check(way, address)
    assert not answer.ok
    assert "is inside the network, and ALERTS_ALLOW_PRIVATE is not set" in answer.detail


@pytest.mark.parametrize(("way", "address"), INSIDE)
def test_unless_it_is_allowed(way: Way, address: str, settings: Any) -> None:
    settings.ALERTS_ALLOW_PRIVATE = True
    assert addresses.check(way, address).ok


@pytest.mark.parametrize("address", ["ftp://8.8.8.8/", "https://", "8.8.8.8", "http://8.8.8.8:99999/"])
def test_a_webhook_is_posted_to_an_url(address: str) -> None:
    assert not addresses.check(Way.WEBHOOK, address).ok
