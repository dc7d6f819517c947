"""`Client` and `AsyncClient`: a typed method for each call of the API.

`Bot` is built on this; producers and scripts use it directly.
"""

from .async_transport import AsyncTransport
from .calls.bots import BotCalls
from .calls.error_groups import ErrorGroupCalls
from .calls.fleet import FleetCalls
from .calls.jobs import JobCalls
from .calls.schedules import ScheduleCalls
from .transport import Transport


class Client(BotCalls, JobCalls, FleetCalls, ScheduleCalls, ErrorGroupCalls, Transport):
    """Jobsite's API at `url`, called with a bot's token or a user's API key. Thread-safe.

    Every method raises `Unauthorized` for a bad token, `Unavailable` when the server could not be reached for
    `retry_for` seconds, and `JobsiteError` for any other refusal; the calls about a lease also raise `LeaseLost`
    and `InstanceReplaced`. Values that JSON cannot express raise ValueError.

    Idempotent calls are retried: reports, reading, and enqueueing with a `key`. A claim is retried only if the server
    certainly did not act on it. If only its answer was lost, the bot may hold jobs that it does not know. Call `hello`
    with `holds` before you claim again: it releases them at once. Otherwise they expire.

    Answers are dicts with the types of `jobsite_client.answers`, moments as `datetime`.
    """


class AsyncClient(BotCalls, JobCalls, FleetCalls, ScheduleCalls, ErrorGroupCalls, AsyncTransport):
    """The same methods as `Client` has, to be awaited; lists are for `async for`."""
