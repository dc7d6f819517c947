"""A span of OpenTelemetry for each attempt: the extra `tracing`."""

from contextvars import Token
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from .attempts import Ended
from .job import Job


class Tracing:
    """Makes spans. They are current in the thread or task of the handler, so that its own spans are inside."""

    def __init__(self, provider: TracerProvider | None) -> None:
        self._tracer = trace.get_tracer("jobsite_client", tracer_provider=provider)
        self._open: dict[Job, tuple[Span, Token[Any]]] = {}

    def on_start(self, job: Job) -> None:
        attributes: dict[str, str | int] = {
            "messaging.system": "jobsite",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": job.kind,
            "messaging.message.id": str(job.id),
            "jobsite.attempt": job.attempt,
        }
        span = self._tracer.start_span(f"process {job.kind}", kind=SpanKind.CONSUMER, attributes=attributes)
        self._open[job] = span, context.attach(trace.set_span_in_context(span))

    def on_end(self, job: Job, ended: Ended) -> None:
        span, token = self._open.pop(job)
        span.set_attribute("jobsite.outcome", ended.outcome)
        if ended.outcome in ("failed", "gave_up") and ended.error is not None:
            span.record_exception(ended.error)
            span.set_status(Status(StatusCode.ERROR, f"{type(ended.error).__name__}: {ended.error}"))
        span.end()
        context.detach(token)
