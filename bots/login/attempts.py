"""Record attempts to log in, and refuse further ones after too many failures.

The record is what failures are counted by, under a lock for the name and one for the source. So the brake is the same
for all web processes, and for attempts at the same time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from bots.login.models import Login, Outcome, Way
from jobsite.lib import locks
from jobsite.lib.clock import database_now

log = structlog.stdlib.get_logger("jobsite.login")

#: Failures from one source, under any names, and of one name from all sources, as multiples of `LOGIN_FAILURES`.
SOURCE_TIMES, NAME_TIMES = 4, 10
#: A source is known to a name when it logged in from there within this time.
KNOWN_FOR = timedelta(days=30)
#: Refused attempts of one name from one source leave a row only this often.
REFUSED_EVERY = timedelta(minutes=1)
#: Old rows that one sweep deletes at most.
PRUNE_MOST = 5000


class TooManyFailures(Exception):
    """Nothing is compared now. `wait`: seconds until the next attempt is."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"Too many failed logins. Try again in {ceil(wait / 60)} minutes.")
        self.wait = wait


def source_of(address: str) -> str:
    """Return what attempts from this address are counted by. A customer of IPv6 has a network of addresses."""
    if not address:
        return ""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def begin(username: str, address: str, way: Way) -> Login:
    """Record an attempt as failed, before anything is compared. TooManyFailures if nothing may be compared now."""
    name = "".join(letter if letter.isprintable() else "?" for letter in username)[:150]
    source = source_of(address)
    row = Login(username=name, address=address, source=source, way=way, outcome=Outcome.FAILED)
    with transaction.atomic():
        locks.wait_for(f"login of {name}", f"login from {source}")
        wait = _wait(name, source)
        if not wait:
            row.save(force_insert=True)
        elif not _just_refused(name, source):
            row.outcome = Outcome.REFUSED
            row.save(force_insert=True)
    if wait:
        row.outcome = Outcome.REFUSED
        _write(row)
        raise TooManyFailures(wait)
    return row


def end(attempt: Login, outcome: Outcome, way: Way | None = None) -> None:
    """Record how an attempt ended."""
    attempt.outcome, attempt.way = outcome, way or attempt.way
    attempt.save(update_fields=["outcome", "way"])
    _write(attempt)


def record(username: str, address: str, way: Way, outcome: Outcome) -> None:
    """Record a login that another program checked: the provider of single sign-on, or the proxy."""
    name = "".join(letter if letter.isprintable() else "?" for letter in username)[:150]
    row = Login(username=name, address=address, source=source_of(address), way=way, outcome=outcome)
    row.save(force_insert=True)
    _write(row)


def prune() -> int:
    """Delete attempts older than `LOGINS_KEPT`, the oldest first. Returns how many."""
    if not settings.LOGINS_KEPT:
        return 0
    old = Login.objects.filter(at__lt=Now() - settings.LOGINS_KEPT).order_by("at").values("pk")[:PRUNE_MOST]
    return Login.objects.filter(pk__in=old).delete()[0]


def wait_after(
    now: datetime,
    local: Sequence[tuple[str, datetime]],
    all_of_name: Sequence[datetime],
    name: str,
    good: datetime | None,
) -> timedelta:
    """Return how long nothing is compared. Zero or less: it is now.

    `local`: the failures of the window from this source, `(name, at)`, newest first; `all_of_name`: those of this name
    from all sources; `good`: when the name last logged in from here. A stranger cannot lock somebody out of a place
    from which they log in: there only failures from that place count.
    """
    window, most = settings.LOGIN_WINDOW, settings.LOGIN_FAILURES
    own = [at for other, at in local if other == name and (good is None or at > good)]
    limits = [(own, most), ([at for _, at in local], most * SOURCE_TIMES)]
    if good is None:
        limits.append((list(all_of_name), most * NAME_TIMES))
    waits = [moments[limit - 1] + window - now for moments, limit in limits if len(moments) >= limit]
    return max(waits, default=timedelta())


def _wait(name: str, source: str) -> int:
    now = database_now()
    failed = Login.objects.filter(outcome=Outcome.FAILED, at__gt=now - settings.LOGIN_WINDOW).order_by("-at")
    most = settings.LOGIN_FAILURES
    local = list(failed.filter(source=source).values_list("username", "at")[: most * SOURCE_TIMES])
    all_of_name = list(failed.filter(username=name).values_list("at", flat=True)[: most * NAME_TIMES])
    good = Login.objects.filter(username=name, source=source, outcome=Outcome.GOOD, at__gt=now - KNOWN_FOR)
    last = good.aggregate(last=Max("at"))["last"]
    return max(0, ceil(wait_after(now, local, all_of_name, name, last).total_seconds()))


def _just_refused(name: str, source: str) -> bool:
    rows = Login.objects.filter(username=name, source=source, outcome=Outcome.REFUSED, at__gt=Now() - REFUSED_EVERY)
    return rows.exists()


def _write(row: Login) -> None:
    write = log.info if row.outcome == Outcome.GOOD else log.warning
    write(
        f"login of {row.username or 'an unknown person'} from {row.address or 'an unknown address'}: "
        f"{row.get_outcome_display()}",
        username=row.username, address=row.address, way=str(row.way), outcome=str(row.outcome),
    )  # fmt: skip
