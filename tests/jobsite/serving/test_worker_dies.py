"""A worker process that is killed is started again by the server itself."""

import contextlib
import time

import httpx
import psutil
import pytest

from tests.served import served

#: Seconds after which something is wrong.
PATIENCE = 60.0


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_is_replaced() -> None:
    with served() as server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as http:
        assert http.get("/livez").text == "ok"
        first = server.worker
        # As the kernel does when memory runs out.
        first.kill()
        first.wait(PATIENCE)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                if http.get("/livez").text == "ok":
                    break
            # The new worker needs the processor more than this loop.
            time.sleep(0.02)
        assert http.get("/livez").text == "ok"
        assert server.worker.pid != first.pid
        assert psutil.pid_exists(server.pid)
