"""Silence and cut what goes between bots, the server and the database, and send strangers who are slow."""

import random
import socket
import time
from contextlib import suppress

from tests.torture.stage import Stage


def silent(stage: Stage, rng: random.Random) -> None:
    """For a moment, or until the server has noticed."""
    stage.to_database.fall_silent()
    try:
        time.sleep(rng.choice([rng.uniform(0.5, 2), rng.uniform(8, 10)]))
    finally:
        stage.to_database.speak()
    time.sleep(rng.uniform(1, 2))


def cut_database(stage: Stage, rng: random.Random) -> None:
    """Answers, so that the server does not know what was done; and statements in the middle."""
    try:
        stage.to_database.answers, stage.to_database.requests = 0.004, 0.002
        time.sleep(rng.uniform(0.5, 2))
    finally:
        stage.to_database.answers = stage.to_database.requests = 0.0
    time.sleep(rng.uniform(0.1, 0.5))


def cut_requests(stage: Stage, rng: random.Random) -> None:
    try:
        stage.to_server.requests = 0.05
        time.sleep(rng.uniform(0.5, 2))
    finally:
        stage.to_server.requests = 0.0


def cut_answers(stage: Stage, rng: random.Random) -> None:
    try:
        stage.to_server.answers = 0.05
        time.sleep(rng.uniform(0.5, 2))
    finally:
        stage.to_server.answers = 0.0


def strangers(stage: Stage, rng: random.Random) -> None:
    """Headers and bodies that come a byte at a time, or never whole, some with a bot's token."""
    there: list[socket.socket] = []
    try:
        for _ in range(60):
            token = rng.choice(["", "jsb_stranger", rng.choice(stage.world.tokens)])
            body = rng.choice([b'{"limit": 5', b'{"completed": [', b"", b"\x00" * 20])
            path = rng.choice(["claim", "exchange", "jobs/bulk", "hello"])
            head = f"POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\n"
            head += f"Authorization: Bearer {token}\r\nContent-Length: 500\r\n\r\n"
            one = socket.create_connection(("127.0.0.1", stage.port), 5)
            there.append(one)
            one.sendall(head.encode()[: rng.choice([10, len(head), len(head)])] + body)
        for _ in range(rng.randint(5, 20)):
            for one in rng.sample(there, 20):
                with suppress(OSError):
                    one.sendall(b" ")
            time.sleep(0.1)
    finally:
        for one in there:
            one.close()
