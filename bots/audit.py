"""Lines in the log about what people did to bots, kinds and keys; those about jobs are in `jobsite.lib.log_context`."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

logger = logging.getLogger("jobsite.bots")


def tell(verb: str, whom: Iterable[Mapping[str, Any]], *, by: str, reason: str = "") -> None:
    """One line for each of `whom`, once the transaction holds: `pause of bot ada by olga`.

    Each of them says what it is by its first field: `{"bot": "ada", "bot_id": 3}`. `by` is the user's name, and empty
    where a command did it. Never put a token into any of this, or a part of one.
    """
    lines = [dict(one) for one in whom]

    def write() -> None:
        for about in lines:
            what, name = next(iter(about.items()))
            said = {"verb": verb, **about, "actor": "operator", "by": by, "reason": reason}
            logger.info("%s of %s %s%s", verb, what, name, f" by {by}" if by else "", extra={"said": said})

    if lines:
        transaction.on_commit(write, robust=True)
