"""Hooks, metrics and spans: what is called around each attempt."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from jobsite_client import Bot, Ended, GiveUp, Job
from jobsite_client.leases import Leases
from jobsite_client.messages import ClaimedJob
from jobsite_client.metrics import Metrics
from tests.docs.reading import table, word

from . import handlers
from .conftest import Running
from .fake_server import DEADLINE, FakeServer, lease_lost

RunBot = Callable[..., Running]


def broken(job: Job) -> None:
    raise RuntimeError("the disk is full")


def hopeless(job: Job) -> None:
    raise GiveUp("There is no file.")


async def broken_later(job: Job) -> None:
    raise RuntimeError("the disk is full")


#: How each handler ends: the outcome, and the type of the error.
ENDS: dict[str, tuple[Any, str, str]] = {
    "fine": (lambda job: 3, "completed", "NoneType"),
    "secretive": (handlers.secretive, "gave_up", "GiveUp"),
    "broken": (broken, "failed", "RuntimeError"),
    "hopeless": (hopeless, "gave_up", "GiveUp"),
    "later": (lambda job: job.defer(60), "deferred", "Deferred"),
    "slow": (handlers.obedient, "failed", "Cancelled"),
}


# --- Hooks ------------------------------------------------------------------------------------------------------------


def test_hooks_hear_of_each_handler(server: FakeServer, run_bot: RunBot) -> None:
    heard: list[tuple[Any, ...]] = []
    ended: dict[str, Ended] = {}

    def on_end(job: Job, how: Ended) -> None:
        heard.append((job.kind, "end"))
        ended[job.kind] = how

    run_bot(
        {kind: handler for kind, (handler, _, _) in ENDS.items()},
        timeout={"slow": 0.1},
        on_start=lambda job: heard.append((job.kind, "start")),
        on_error=lambda job, error: heard.append((job.kind, type(error).__name__)),
        on_end=on_end,
    )
    for kind in ENDS:
        server.add_job(kind)
    server.wait_until(lambda: len(ended) == len(ENDS))
    assert {kind: (how.outcome, type(how.error).__name__) for kind, how in ended.items()} == {
        kind: (outcome, error) for kind, (_, outcome, error) in ENDS.items()
    }
    assert ended["slow"].seconds > 0.09 and ended["fine"].seconds >= 0
    by_kind = {kind: [what for name, what in heard if name == kind] for kind in ENDS}
    assert by_kind["fine"] == by_kind["later"] == ["start", "end"]
    assert by_kind["broken"] == ["start", "RuntimeError", "end"]
    assert by_kind["slow"] == ["start", "Cancelled", "end"]


def test_a_handler_that_is_stopped_has_not_failed(server: FakeServer, run_bot: RunBot) -> None:
    over = threading.Event()
    heard: list[str] = []

    def on_end(job: Job, how: Ended) -> None:
        heard.append(how.outcome)
        over.set()

    job = server.add_job("slow")
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost()]
    run_bot({"slow": handlers.obedient}, on_error=lambda job, error: heard.append("error"), on_end=on_end)
    assert over.wait(DEADLINE)
    assert heard == ["stopped"]


def test_a_hook_that_fails_is_logged_and_stops_nothing(
    server: FakeServer, run_bot: RunBot, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(job: Job, *rest: Any) -> None:
        raise RuntimeError("the hook is broken")

    job = server.add_job("fine")
    run_bot({"fine": lambda job: 3}, on_start=fails, on_end=fails)
    assert server.wait_for(f"jobs/{job}/complete")[0].body["result"] == 3
    assert caplog.text.count("a hook of the bot failed") == 2
    assert "the hook is broken" in caplog.text


def test_hooks_hear_of_handlers_in_processes(server: FakeServer, run_bot: RunBot) -> None:
    heard: list[str] = []
    job = server.add_job("broken")
    run_bot({"broken": handlers.broken}, processes=1, on_error=lambda job, error: heard.append(str(error)))
    server.wait_for(f"jobs/{job}/fail")
    assert "RuntimeError: the disk is full" in heard[0]


def test_a_hook_that_would_have_to_be_awaited_is_refused(server: FakeServer) -> None:
    with pytest.raises(TypeError, match="plain functions"):
        Bot(server.url, "t", {"fine": handlers.where}, on_end=broken_later)


# --- Metrics ----------------------------------------------------------------------------------------------------------


def test_metrics_count_what_ended(server: FakeServer, run_bot: RunBot) -> None:
    registry = CollectorRegistry()
    jobs = [server.add_job(kind) for kind in ("fine", "fine", "broken")]
    run_bot({"fine": lambda job: 3, "broken": broken_later}, concurrency=4, metrics=registry)
    for job in jobs[:2]:
        server.wait_for(f"jobs/{job}/complete")
    server.wait_for(f"jobs/{jobs[2]}/fail")

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"jobsite_bot_{name}", labels)

    assert value("jobs_total", kind="fine", outcome="completed") == 2
    assert value("jobs_total", kind="broken", outcome="failed") == 1
    assert value("job_seconds_count", kind="fine") == 2
    assert value("jobs_running", kind="fine") == 0
    server.wait_until(lambda: value("jobs_held") == 0)
    assert [value("slots", state=state) for state in ("all", "free", "lost")] == [4, 4, 0]


def test_the_readme_has_each_metric_with_its_labels() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, Leases(4))
    job = Job(ClaimedJob(1, "fine", 1, None, 0, None, None, None, None))
    metrics.on_start(job)
    metrics.on_end(job, Ended("completed", 0.1))
    made = set()
    for family in registry.collect():
        labels = {name for sample in family.samples for name in sample.labels if name != "le"}
        name = family.name + ("_total" if family.type == "counter" else "")
        made.add((name, family.type, frozenset(labels)))
    rows = table("client/README.md", "metric", "type", "labels", "counts")
    shown = {(word(row["metric"]), row["type"], frozenset(re.findall(r"\w+", row["labels"]))) for row in rows}
    assert shown == made


# --- Spans ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


@pytest.mark.parametrize("loop", [False, True], ids=["threads", "loop"])
def test_each_attempt_is_a_span_around_those_of_its_handler(
    server: FakeServer, run_bot: RunBot, spans: InMemorySpanExporter, provider: TracerProvider, loop: bool
) -> None:
    tracer = provider.get_tracer("studio")

    def resize(job: Job) -> None:
        with tracer.start_as_current_span(f"draw {job.id}"):
            pass

    async def resize_later(job: Job) -> None:
        resize(job)

    jobs = [server.add_job("resize") for _ in range(3)]
    run_bot({"resize": resize_later if loop else resize}, concurrency=3, tracing=provider)
    for job in jobs:
        server.wait_for(f"jobs/{job}/complete")
    server.wait_until(lambda: len(spans.get_finished_spans()) == 6)
    finished = {span.name: span for span in spans.get_finished_spans() if span.name.startswith("draw")}
    attempts = {span.attributes["messaging.message.id"]: span for span in spans.get_finished_spans()[:]
                if span.name == "process resize"}  # fmt: skip
    for job in jobs:
        attempt = attempts[str(job)]
        assert finished[f"draw {job}"].parent == attempt.context
        assert (attempt.kind, attempt.parent) == (SpanKind.CONSUMER, None)
        assert attempt.attributes is not None
        assert attempt.attributes["messaging.destination.name"] == "resize"
        assert (attempt.attributes["jobsite.attempt"], attempt.attributes["jobsite.outcome"]) == (1, "completed")


def test_a_span_has_the_error_of_its_attempt(
    server: FakeServer, run_bot: RunBot, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    job = server.add_job("broken")
    run_bot({"broken": broken}, tracing=provider)
    server.wait_for(f"jobs/{job}/fail")
    server.wait_until(lambda: len(spans.get_finished_spans()) == 1)
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "RuntimeError: the disk is full"
    assert [event.name for event in span.events] == ["exception"]


def test_a_hook_may_add_to_the_span(
    server: FakeServer, run_bot: RunBot, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    job = server.add_job("fine")
    run_bot(
        {"fine": lambda job: 3},
        tracing=provider,
        on_end=lambda job, ended: trace.get_current_span().set_attribute("studio", "north"),
    )
    server.wait_for(f"jobs/{job}/complete")
    server.wait_until(lambda: len(spans.get_finished_spans()) == 1)
    assert spans.get_finished_spans()[0].attributes["studio"] == "north"  # type: ignore[index]
