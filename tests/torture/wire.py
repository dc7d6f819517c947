"""A relay that also cuts connections: in the middle of what is sent, or before an answer comes."""

import random
import socket
from collections.abc import Callable

from tests.relay import Relay


class Wire(Relay):
    """Between bots and the server, or the server and the database. `requests`, `answers`: what share of them is cut."""

    def __init__(self, connect: Callable[[], socket.socket], rng: random.Random) -> None:
        self._rng = rng
        self.requests = self.answers = 0.0
        super().__init__(connect)

    def passed(self, data: bytes, *, answer: bool) -> bytes:
        """Nothing, half or all of it."""
        if self._rng.random() >= (self.answers if answer else self.requests):
            return data
        return data[: self._rng.choice([0, len(data) // 2])]
