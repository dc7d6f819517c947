"""Parse the search field of the job list."""

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from jobsite.lib.errors import BadRequest, Invalid
from jobsite.lib.strict_json import loads


@dataclass(frozen=True)
class Terms:
    """A parsed search: jobs named by number, key or bot, and conditions on payload and error."""

    ids: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    bots: tuple[str, ...] = ()
    payload: tuple[tuple[tuple[str, ...], str], ...] = ()
    error: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def reads_payloads(self) -> bool:
        """Whether it has conditions on what jobs carry."""
        return bool(self.payload or self.error)


def parse(text: str) -> Terms:
    """Parse `17`, `key:abc`, `bot:ada`, `group:acme`, `payload.customer=17`, `error:"no answer"`.

    A bare word is a key or a bot.
    """
    text = text.replace("\0", "").strip()
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    ids, keys, bots, payload, error, groups = [], [], [], [], [], []
    for word in words:
        if match := re.fullmatch(r"payload\.([^=]+)=(.*)", word, re.S):
            payload.append((tuple(match[1].split(".")), match[2]))
        elif word.startswith("error:"):
            error.append(word.removeprefix("error:"))
        elif word.startswith("bot:"):
            bots.append(word.removeprefix("bot:"))
        elif word.startswith("group:"):
            groups.append(word.removeprefix("group:"))
        elif word.startswith("key:"):
            keys.append(word.removeprefix("key:"))
        elif re.fullmatch(r"(id:|job:|#)?[0-9]{1,18}", word, re.A):
            ids.append(int(re.sub(r"\D", "", word)))
        else:
            keys.append(word)
    return Terms(tuple(ids), tuple(keys), tuple(bots), tuple(payload), tuple(e for e in error if e), tuple(groups))


def has_value(path: tuple[str, ...], value: str) -> Q:
    """Match jobs whose payload has this value at `path`, as a string or as parsed JSON."""
    values: list[Any] = [value]
    with suppress(BadRequest, Invalid):
        values.append(loads(value.encode()))
    condition = Q()
    for wanted in values:
        for name in reversed(path):
            wanted = {name: wanted}
        condition |= Q(payload__contains=wanted)
    return condition
