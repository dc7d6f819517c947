"""What people type into the search of a list of jobs, taken apart."""

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
    """What a search asks for: jobs named by number, key or bot, and what their payload and error must have."""

    ids: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    bots: tuple[str, ...] = ()
    payload: tuple[tuple[tuple[str, ...], str], ...] = ()
    error: tuple[str, ...] = ()


def parse(text: str) -> Terms:
    """`17`, `key:abc`, `bot:ada`, `payload.customer=17`, `error:"no answer"`; a bare word is a key or a bot."""
    text = text.replace("\0", "").strip()
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    ids, keys, bots, payload, error = [], [], [], [], []
    for word in words:
        if found := re.fullmatch(r"payload\.([^=]+)=(.*)", word, re.S):
            payload.append((tuple(found[1].split(".")), found[2]))
        elif word.startswith("error:"):
            error.append(word.removeprefix("error:"))
        elif word.startswith("bot:"):
            bots.append(word.removeprefix("bot:"))
        elif word.startswith("key:"):
            keys.append(word.removeprefix("key:"))
        elif re.fullmatch(r"(id:|job:|#)?[0-9]{1,18}", word, re.A):
            ids.append(int(re.sub(r"\D", "", word)))
        else:
            keys.append(word)
    return Terms(tuple(ids), tuple(keys), tuple(bots), tuple(payload), tuple(e for e in error if e))


def has_value(path: tuple[str, ...], value: str) -> Q:
    """The payload has this value there: as text, or as what it is in JSON."""
    values: list[Any] = [value]
    with suppress(BadRequest, Invalid):
        values.append(loads(value.encode()))
    found = Q()
    for wanted in values:
        for name in reversed(path):
            wanted = {name: wanted}
        found |= Q(payload__contains=wanted)
    return found
