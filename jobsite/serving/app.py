"""Serve the site over ASGI: when its body is there, a bot's turn is taken, and any other request goes to a thread.

A turn holds no thread: of those that come together one thread makes a single call, and one that waits for jobs is a
task of the event loop.
"""

import asyncio
import resource
from collections.abc import Callable
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

from django.conf import settings

from jobs.api.runners import OnLoop, Runner
from jobs.turns.waiting import release_connection
from jobsite.lib import bodies, errors
from jobsite.lib.threads import Threads
from jobsite.serving.answering import Channel, Receive, Response, Send, answer_of, until_gone
from jobsite.serving.environ import environ_of
from jobsite.serving.reading import Reader, Stream, shutting_down

#: Files and connections that a process may have open, where the system allows it.
OPEN_FILES = 65536
#: Threads for each probe, so that it is answered when all others are busy.
PROBE_THREADS = 2
#: Threads that check the tokens of slow calls, and those that answer what is refused. Strangers use no other.
CHECKING_THREADS, REFUSING_THREADS = 2, 2
#: A turn with a longer body is read in a thread: the event loop answers others in the meantime.
TURN_BYTES = 32 * 1024
#: Streams of jobs, each of which holds a thread until it has come, may have one of so many threads.
STREAMS_SHARE = 4


class Application(Protocol):
    """What is served."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse, /) -> Any:
        """Answer a request in a thread, as WSGI says."""

    async def take_turn(
        self, environ: WSGIEnvironment, runner: Runner, /
    ) -> tuple[str, list[tuple[str, str]], bytes] | None:
        """Answer a bot's turn: its status line, headers and body. None: it is none."""


class Site:
    """The ASGI application. `turns` are the paths of bots' turns.

    `check_token` raises for a call without a valid token, and runs in a thread. `probes` are paths with threads of
    their own. `begun` is called once, on the event loop, before the first request.
    """

    def __init__(
        self,
        application: Application,
        turns: frozenset[str],
        check_token: Callable[[dict[str, Any]], None],
        probes: frozenset[str],
        begun: Callable[["Site"], None],
    ) -> None:
        self._application, self._turns, self._check, self._begun = application, turns, check_token, begun
        # As many as may wait for the database: the pool gives connections to fewer.
        self._turn_threads = Threads(settings.WEB_THREADS, "jobsite-turns", after=release_connection)
        self._threads = Threads(settings.WEB_THREADS, "jobsite-web")
        # Each has its own: one that waits for the database does not stop that which asks whether the process lives.
        self._probe_threads = {path: Threads(PROBE_THREADS, f"jobsite{path.replace('/', '-')}") for path in probes}
        self._refusing_threads = Threads(REFUSING_THREADS, "jobsite-refusing")
        self._checking_threads = Threads(CHECKING_THREADS, "jobsite-checking", after=release_connection)
        self._reader = Reader(self._check_token)
        self._streams: set[Stream] = set()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, sending: Send) -> None:
        if scope["type"] != "http":
            return
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
            self._begun(self)
        environ = environ_of(scope)
        stream: Stream | None = None
        try:
            if bodies.is_stream(environ):
                stream = await self._open_stream(environ, receive)
            else:
                await self._reader.read(environ, receive)
        except errors.JobsiteError as error:
            environ[bodies.REFUSED] = error
        try:
            await self._answer(environ, receive, sending)
        finally:
            if stream is not None:
                self._streams.discard(stream)

    def stop(self) -> None:
        """Refuse what has not come whole: the server is shutting down. Called on the event loop."""
        self._reader.stop()
        for stream in self._streams:
            stream.end(shutting_down())

    async def _answer(self, environ: dict[str, Any], receive: Receive, sending: Send) -> None:
        channel = Channel(sending, receive)
        answer: Response | None = None
        if environ["PATH_INFO"] in self._turns:
            answer = await self._take_turn(environ, receive)
        if answer is None:
            threads = self._threads_for(environ)
            answer = await threads.run(answer_of, self._application, environ, channel)
        if answer is None:
            await channel.end()
        else:
            await channel.send(answer)

    async def _take_turn(self, environ: dict[str, Any], receive: Receive) -> Response | None:
        if bodies.REFUSED in environ or int(environ["CONTENT_LENGTH"]) > TURN_BYTES:
            return None
        runner = OnLoop(self._turn_threads, lambda: until_gone(receive))
        answer = await self._application.take_turn(environ, runner)
        return answer and Response.from_wsgi(*answer)

    def _threads_for(self, environ: dict[str, Any]) -> Threads:
        if bodies.REFUSED in environ:
            return self._refusing_threads
        return self._probe_threads.get(environ["PATH_INFO"], self._threads)

    async def _open_stream(self, environ: dict[str, Any], receive: Receive) -> Stream:
        length = None if bodies.is_chunked(environ) else bodies.announced(environ, bodies.longest(environ))
        await self._reader.check(environ)
        if len(self._streams) >= max(1, settings.WEB_THREADS // STREAMS_SHARE):
            raise errors.Unavailable("Too many streams of jobs are being sent to this server. Try again later.")
        stream = Stream(receive, asyncio.get_running_loop(), length)
        self._streams.add(stream)
        environ["wsgi.input"], environ[bodies.WHOLE] = stream, True
        return stream

    async def _check_token(self, environ: dict[str, Any]) -> None:
        await self._checking_threads.run(self._check, environ)


def allow_many_connections() -> None:
    """Raise the soft limit on open files, which is 1 024 on many systems, as far as the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
