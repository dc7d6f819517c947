"""Throttle: a bot or an operator lets no jobs of a kind, or of one of its groups, be claimed for a while."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from bots.acts import Act
from bots.audit import caller as audited
from bots.models import Bot
from jobs import lifecycle
from jobs.api import schemas
from jobs.api.auth import bot_of, by_of, either, instance_of, require
from jobs.lifecycle import By
from jobsite.lib.declared import refuses
from jobsite.lib.errors import Forbidden, Invalid, NotFound

shared = Router(auth=either, tags=["Jobs"])


@shared.post("/throttle", response=schemas.ThrottleOut, exclude_unset=True)
@refuses(NotFound)
def throttle(request: HttpRequest, data: schemas.ThrottleIn) -> Any:
    """Let none of these jobs be claimed for a while.

    For a service that asks for that. A bot may do it for kinds that it takes. An operator may lift it.
    """
    caller: Any = bot_of(request)
    answer = {"kind": data.kind, "group": data.group, "shut_until": None}
    if isinstance(caller, Bot):
        if caller.kinds and data.kind not in caller.kinds:
            raise Forbidden(f"Bot {caller.name} does not take jobs of kind {data.kind}.")
        if not data.seconds:
            raise Invalid.about("for", "an operator lifts a throttle; a bot gives more than 0 seconds.")
        answer["shut_until"] = _throttle(data, by_of(request))
        return answer | lifecycle.orders(caller, instance_of(request))
    act = Act.PAUSE if data.seconds else Act.RESUME
    require(request, "jobs.pause_jobkind", scope=act, kinds=[data.kind])
    by = By.operator(audited(request))
    if data.seconds:
        answer["shut_until"] = _throttle(data, by)
    else:
        lifecycle.lift(data.kind, data.group or "", by=by, reason=data.reason)
    return answer


def _throttle(data: schemas.ThrottleIn, by: By) -> Any:
    return lifecycle.throttle(data.kind, data.group or "", data.seconds, by=by, reason=data.reason)
