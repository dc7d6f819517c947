"""Handlers: how they are registered, and what they are called with."""

import functools
from collections.abc import Callable
from typing import Any, TypedDict

import pytest

from jobsite_client import Bot, Job, PayloadError
from jobsite_client.handlers import Handler
from jobsite_client.messages import ClaimedJob

from . import handlers
from .conftest import TOKEN, Running
from .fake_server import DEADLINE, FakeServer

RunBot = Callable[..., Running]


class Picture(TypedDict):
    image: str


def job_with(payload: Any) -> Job:
    return Job(ClaimedJob(7, "resize", 1, payload, 0, None, None, None, None))


def test_a_decorator_registers_a_handler_and_leaves_the_function_as_it_is(server: FakeServer) -> None:
    job, other = server.add_job("resize", {"width": 3}), server.add_job("sum")
    bot = Bot(server.url, TOKEN, {"sum": lambda job: 1})

    @bot.handler("resize")
    def resize(job: Job) -> Any:
        return job.payload["width"]

    assert resize(job_with({"width": 4})) == 4
    assert bot.kinds == ["resize", "sum"]
    running = Running(bot)
    assert server.wait_for(f"jobs/{job}/complete")[0].body["result"] == 3
    server.wait_for(f"jobs/{other}/complete")
    running.stop()


def test_a_decorator_has_a_time_out_of_its_own(server: FakeServer) -> None:
    bot = Bot(server.url, TOKEN, timeout=60, grace=DEADLINE)
    bot.handler("slow", timeout=0.1)(handlers.obedient)
    bot.handler("sum")(lambda job: 1)
    assert {kind: handler.timeout for kind, handler in bot.handlers.items()} == {"slow": 0.1, "sum": 60}
    job = server.add_job("slow")
    running = Running(bot)
    (failed,) = server.wait_for(f"jobs/{job}/fail")
    assert failed.body["error"] == "It ran longer than its time-out of 0.1 s."
    running.stop()


def test_a_kind_has_one_handler(server: FakeServer) -> None:
    bot = Bot(server.url, TOKEN, {"sum": lambda job: 1})
    with pytest.raises(ValueError, match="two handlers for the kind sum"):
        bot.handler("sum")(lambda job: 2)


def test_a_bot_without_a_handler_does_not_run(server: FakeServer) -> None:
    with pytest.raises(ValueError, match="needs a handler"):
        Bot(server.url, TOKEN).run()
    assert server.calls == []


@pytest.mark.parametrize(("wrong", "error"), [("resize", TypeError), (None, TypeError)])
def test_what_is_no_function_is_no_handler(server: FakeServer, wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="A handler is a function"):
        Bot(server.url, TOKEN, {"resize": wrong})


def test_handlers_for_processes_are_functions_of_a_module(server: FakeServer) -> None:
    with pytest.raises(ValueError, match="The handler of sum, or encode=, cannot run in a process of its own"):
        Bot(server.url, TOKEN, {"sum": lambda job: 1}, processes=1).run()


# --- The payload ------------------------------------------------------------------------------------------------------


def test_a_second_parameter_gets_the_payload() -> None:
    def plain(job: Job, payload) -> Any:  # type: ignore[no-untyped-def]
        return job.id, payload

    assert Handler(plain).call(job_with([1])) == (7, [1])


def test_it_gets_it_as_the_type_that_it_names() -> None:
    def total(job: Job, size: handlers.Size) -> int:
        return size.width * size.height

    assert Handler(total).call(job_with({"width": 2})) == 960


def test_a_second_parameter_with_a_default_is_the_users_own() -> None:
    assert Handler(lambda job, size=3: size).call(job_with([1])) == 3
    assert Handler(lambda job, *, size=3: size).call(job_with([1])) == 3


def test_partials_objects_and_methods_are_handlers() -> None:
    class Studio:
        def __call__(self, job: Job, picture: Picture) -> str:
            return picture["image"]

        def resize(self, job: Job, picture: Picture) -> str:
            return picture["image"]

        async def later(self, job: Job, picture: Picture) -> str:
            return picture["image"]

    def scaled(scale: int, job: Job, size: handlers.Size) -> int:
        return scale * size.width

    job = job_with({"image": "a.png"})
    assert Handler(Studio()).call(job) == Handler(Studio().resize).call(job) == "a.png"
    assert Handler(Studio().later).is_async
    assert Handler(functools.partial(Studio().later)).is_async
    assert Handler(functools.partial(scaled, 2)).call(job_with({"width": 2})) == 4
    assert Handler(print).call(job_with(None)) is None


def test_an_annotation_may_be_text() -> None:
    def area(job: "NotImportedHere", size: "handlers.Size") -> int:  # type: ignore[name-defined]  # noqa: F821
        return size.width

    assert Handler(area).call(job_with({"width": 2})) == 2


def test_a_type_that_is_not_known_is_refused_when_the_handler_is_registered() -> None:
    def area(job: Job, size: "NotImportedHere") -> int:  # type: ignore[name-defined]  # noqa: F821
        return 1

    with pytest.raises(TypeError, match="NotImportedHere"):
        Handler(area)


def test_a_payload_that_does_not_fit_raises_with_the_names_of_its_fields() -> None:
    with pytest.raises(PayloadError, match=r"The payload does not fit\. width must be a whole number, not text\."):
        Handler(handlers.area).call(job_with({"width": "wide"}))


@pytest.mark.parametrize("options", [{}, {"processes": 1}], ids=["threads", "processes"])
def test_a_job_whose_payload_does_not_fit_fails_for_good(
    server: FakeServer, run_bot: RunBot, options: dict[str, Any]
) -> None:
    good, bad = server.add_job("area", {"width": 2}), server.add_job("area", {"height": 2})
    run_bot({"area": handlers.area}, **options)
    assert server.wait_for(f"jobs/{good}/complete")[0].body["result"] == "960"
    (failed,) = server.wait_for(f"jobs/{bad}/fail")
    assert failed.body == {"attempt": 1, "error": "The payload does not fit. width is missing.", "retry": False}
