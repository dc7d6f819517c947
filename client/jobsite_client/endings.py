"""The endings of a bot's process and their exit codes. Pure."""

from dataclasses import dataclass

from .errors import InstanceReplaced, JobsiteError, Unauthorized

# Stopped in order, by a signal or by `Bot.stop()`.
EXIT_STOPPED = 0
# An operator asked the bot to restart, or all its slots are lost: its supervisor should start it again.
EXIT_RESTART = 75
# Another process of the same bot took over: starting this one again would replace that one.
EXIT_REPLACED = 76
# The server refuses this bot: a wrong or revoked token, or a wrong address. Starting again will not help.
EXIT_REFUSED = 77


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the bot stops, as a sentence, and the exit code."""

    code: int
    why: str


NO_SLOT_LEFT = Ending(
    EXIT_RESTART, "No slot is left: each handler was asked to stop and is still running. Start the process again."
)
RESTART = Ending(EXIT_RESTART, "An operator asked this bot to restart.")


def ending_for(error: JobsiteError, instance: str | None) -> Ending | None:
    """The ending that this error means for the instance `instance`; None: continue."""
    if isinstance(error, Unauthorized):
        return Ending(EXIT_REFUSED, f"The server does not accept this bot's token: {error.detail}")
    if isinstance(error, InstanceReplaced) and error.instance == instance:
        return Ending(
            EXIT_REPLACED,
            "Another process of this bot has started and taken over, so this one stops. To run several processes "
            "as one bot, start each of them with alone=False.",
        )
    return None
