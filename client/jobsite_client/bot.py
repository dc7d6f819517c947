"""`Bot` runs handlers: it claims jobs, sends heartbeats and reports, and shuts down in order."""

import copy
import pickle
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from .api import Client
from .attempts import Ended, Hooks, Observer
from .claimer import host_name, new_instance
from .endings import EXIT_REFUSED, EXIT_REPLACED, EXIT_RESTART, EXIT_STOPPED, Ending
from .handlers import Function, Handler
from .job import Job
from .logs import name_jobs
from .results import Encoder, Results
from .runner import Message, Options, Runner

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry

__all__ = ["EXIT_REFUSED", "EXIT_REPLACED", "EXIT_RESTART", "EXIT_STOPPED", "Bot"]

F = TypeVar("F", bound=Function)

_NO_HANDLER = "A bot needs a handler for at least one kind of job."


class Bot:
    """A bot for the Jobsite server at `url`, with the `token` it was given when it was registered.

    `handlers` maps each kind of job this bot takes to a function; `@bot.handler("kind")` adds others. A handler has one
    parameter, a `Job`, or a second one for the payload, read as the type that its annotation names. What it returns is
    the result. An exception fails the job, to be tried again later; `GiveUp` fails it for good; `Cancelled`, from
    `job.check()`, reports nothing. `concurrency` handlers run at a time: in threads, and those made by `async def` on
    one asyncio loop.

    `processes`        run handlers in so many processes, and not in threads: one that does not stop is killed. Handlers
                       must be functions of a module
    `timeout`          how long a handler may run, seconds: for all, or by kind. Then it is asked to stop, and the job
                       fails. A thread that does not stop costs its slot, see the README
    `prefetch`         how many more jobs to hold ready, so that no worker waits for the network between two. For
                       jobs that take milliseconds: to the server and its limits they are being worked on from the
                       moment they are claimed, and no other bot can have them. 0: only jobs a worker is free for
    `poll_every`       the longest pause between claims, seconds, while there is nothing to do and the server does not
                       hold a claim open until there is
    `heartbeat_every`  seconds between heartbeats; by default a third of the time to each job's deadline
    `identity`         what stays the same when this process is started again: by default the name of the host, which
                       is a pod's in Kubernetes. A process replaces an older one of the same bot and identity
    `alone`            False lets several processes of one identity use this bot (and its token) at the same time
    `grace`            how long running jobs may go on after SIGTERM or SIGINT, seconds; then they are handed back
    `version`          the bot's version, shown to operators (≤ 100 characters)
    `encode`           makes values of types that results may not have by themselves into some that they may have
    `keep_results_in`  the directory for results that cannot be sent; by default the one for temporary files
    `on_start`         called with the job before its handler, in the handler's thread
    `on_end`           called with the job and an `Ended` after it
    `on_error`         called with the job and the exception, before `on_end`, when the attempt failed
    `metrics`          a registry of prometheus-client for the bot's metrics; True: the global one
    `tracing`          a tracer provider of OpenTelemetry, for a span for each attempt; True: the global one
    `on_restart`       called when an operator asked for a restart, after everything was handed back
    `client`           a `Client` of your own making, instead of one for `url` and `token`
    """

    def __init__(
        self,
        url: str,
        token: str,
        handlers: Mapping[str, Function] | None = None,
        *,
        concurrency: int = 1,
        processes: int = 0,
        timeout: float | Mapping[str, float] | None = None,
        prefetch: int = 0,
        poll_every: float = 1.0,
        heartbeat_every: float | None = None,
        identity: str | None = None,
        alone: bool = True,
        grace: float = 3.0,
        version: str = "",
        encode: Encoder | None = None,
        keep_results_in: str | Path | None = None,
        on_start: Callable[[Job], None] | None = None,
        on_end: Callable[[Job, Ended], None] | None = None,
        on_error: Callable[[Job, BaseException], None] | None = None,
        metrics: "CollectorRegistry | bool" = False,
        tracing: "TracerProvider | bool" = False,
        on_restart: Callable[[], None] | None = None,
        client: Client | None = None,
    ) -> None:
        if handlers is not None and not handlers:
            raise ValueError(_NO_HANDLER)
        if concurrency < 1 or poll_every <= 0 or (heartbeat_every is not None and heartbeat_every <= 0):
            raise ValueError("concurrency, poll_every and heartbeat_every must be more than zero.")
        if identity is not None and not alone:
            raise ValueError("Give an identity, or alone=False for one of the process's own; not both.")
        if prefetch < 0 or processes < 0:
            raise ValueError("prefetch and processes must not be less than zero.")
        if processes and concurrency not in (1, processes):
            raise ValueError("processes is the number of handlers that run at a time; leave concurrency out.")
        own = new_instance() if not alone else host_name() if identity is None else identity
        self.options = Options(concurrency, processes, prefetch, poll_every, heartbeat_every, own, grace, version)
        self.client = client or Client(url, token)
        self.handlers: dict[str, Handler] = {}
        self._timeout = 0.0 if timeout is None or isinstance(timeout, Mapping) else timeout
        self._add_all(handlers or {}, timeout if isinstance(timeout, Mapping) else {})
        self._results = Results(encode, keep_results_in)
        self._hooks = [Hooks(on_start, on_end, on_error)] if on_start or on_end or on_error else []
        self._metrics = metrics
        self._tracing = tracing
        self._on_restart = on_restart
        # SimpleQueue.put() is safe in a signal handler. A lock is not: the handler may interrupt its holder.
        self._inbox: SimpleQueue[Message] = SimpleQueue()
        self._stopping = threading.Event()
        self._runner: Runner | None = None

    def _add_all(self, handlers: Mapping[str, Function], timeouts: Mapping[str, float]) -> None:
        if timeouts.keys() - handlers.keys():
            raise ValueError("timeout has seconds for kinds that have a handler.")
        for kind, function in handlers.items():
            self.handler(kind, timeout=timeouts.get(kind))(function)

    def handler(self, kind: str, *, timeout: float | None = None) -> Callable[[F], F]:
        """Register the function under it as the handler of this kind. `timeout`: in place of the bot's own."""

        def register(function: F) -> F:
            if kind in self.handlers:
                raise ValueError(f"There are two handlers for the kind {kind}.")
            self.handlers[kind] = Handler(function, self._timeout if timeout is None else timeout)
            return function

        return register

    @property
    def kinds(self) -> list[str]:
        """The kinds that have a handler."""
        return sorted(self.handlers)

    def copy_for(self, client: Client) -> "Bot":
        """The same bot for another server, as tests have one. It has not run yet."""
        other = copy.copy(self)
        other.client = client
        other._inbox, other._stopping, other._runner = SimpleQueue(), threading.Event(), None
        return other

    def run(self) -> int:
        """Work until stopped. Returns the exit code: `sys.exit(bot.run())`.

        0: stopped by SIGTERM, SIGINT or `stop()`. 75: an operator asked for a restart, or no slot is left. 76: another
        process took over. 77: the server refuses this bot. A bot runs once. In the main thread the two signals are
        caught; a second one hands the running jobs back without waiting for them.
        """
        if not self.handlers:
            raise ValueError(_NO_HANDLER)
        if self.options.processes:
            self._check_for_processes()
        name_jobs()
        self._runner = Runner(
            self.client, self.handlers, self.options, self._results, inbox=self._inbox, stopping=self._stopping
        )
        ending = self._runner.run(self._observers(self._runner))
        if ending.code == EXIT_RESTART and self._on_restart:
            self._on_restart()
        return ending.code

    def _check_for_processes(self) -> None:
        """Raises ValueError for a handler that another process cannot have."""
        for kind, handler in self.handlers.items():
            try:
                pickle.dumps((handler.function, self._results))
            except Exception as error:
                why = f"The handler of {kind}, or encode=, cannot run in a process of its own: {error}"
                raise ValueError(f"{why}. Make it a function of a module.") from None

    def _observers(self, runner: Runner) -> list[Observer]:
        # The span is the outermost: hooks may add to it.
        observers: list[Observer] = []
        if self._tracing:
            from .tracing import Tracing

            observers.append(Tracing(None if self._tracing is True else self._tracing))
        if self._metrics:
            from .metrics import Metrics

            observers.append(Metrics(None if self._metrics is True else self._metrics, runner.leases))
        return [*observers, *self._hooks]

    def stop(self) -> None:
        """Ask the bot to stop in good order, from any thread; `run()` returns when it has."""
        self._inbox.put(Ending(EXIT_STOPPED, "Asked to stop."))

    @property
    def stopping(self) -> bool:
        """Whether the bot has begun to stop."""
        return self._stopping.is_set()

    @property
    def running(self) -> list[Job]:
        """The jobs that wait for a handler or are in one."""
        return self._runner.leases.running() if self._runner else []
