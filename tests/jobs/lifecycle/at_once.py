"""Turns of several bots that come at the same time, so that the server carries them out in one statement."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connections
from django.http import HttpResponse

from bots.models import Bot
from jobs.lifecycle import turn as turns_of_bots
from tests.api.calls import send
from tests.cast import bot_named
from tests.entered import EnteringClient
from tests.race import PATIENCE, until


@dataclass(frozen=True)
class Turn:
    """One exchange: who calls, with which body, and as which process."""

    bot: Bot
    body: dict[str, Any] = field(default_factory=dict)
    instance: str = ""

    def make(self) -> HttpResponse:
        """Call the API on a connection of its own."""
        headers = {"Bot-Instance": self.instance} if self.instance else {}
        try:
            return send(EnteringClient(), str(self.bot.token), "POST", "/exchange", self.body, **headers)  # type: ignore[attr-defined]
        finally:
            connections.close_all()


class Group:
    """Turns that are made in one group, each in a thread.

    This is the only place in the tests that knows how the server queues them.
    """

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = turns
        self.first = Turn(bot_named("first of the group"))
        for bot in {turn.bot for turn in turns} | {self.first.bot}:
            # The server groups the turns of bots whose kinds it knows.
            Turn(bot).make()

    def make(self) -> list[HttpResponse]:
        """Make them, and return their answers, in order.

        The turn of a bot that is about nothing comes first, and lasts until all others are queued behind it.
        """
        queue = turns_of_bots._combiner
        carry, groups = queue._execute, list[int]()
        first_is_made, go_on = threading.Event(), threading.Event()

        def carry_first_late(items: Sequence[Any]) -> Any:
            groups.append(len(items))
            if len(groups) == 1:
                first_is_made.set()
                assert go_on.wait(PATIENCE)
            return carry(items)

        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(self.turns) + 1) as pool:
            patch.setattr(queue, "_execute", carry_first_late)
            patch.setattr(queue, "_max_wait", PATIENCE)
            pool.submit(self.first.make)
            assert first_is_made.wait(PATIENCE)
            answers = []
            for n, turn in enumerate(self.turns, 1):
                answers.append(pool.submit(turn.make))
                until(lambda n=n: sum(len(calls) for calls in queue._queues.values()) == n)  # type: ignore[misc]
            go_on.set()
            done = [answer.result(PATIENCE) for answer in answers]
        assert groups[:2] == [1, len(self.turns)]
        return done


def at_once(turns: Sequence[Turn]) -> list[HttpResponse]:
    """Make these turns in one group. Returns their answers, in order."""
    return Group(turns).make()
