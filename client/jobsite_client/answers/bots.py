"""The answers about bots.

Made from the OpenAPI document by `python -m tests.contract.surface`: do not change it by hand.
"""

from typing import TypedDict


class HelloOut(TypedDict):
    paused: bool
    restart: bool
    bot_id: int
    name: str
    instance: str
    kinds: list[str]
    capacity: int | None
    released: list[int]
    warnings: list[str]


class GoodbyeOut(TypedDict):
    paused: bool
    restart: bool
    instance: str
    released: list[int]
