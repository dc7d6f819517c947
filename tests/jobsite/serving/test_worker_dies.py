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
    with served() as server:
        url = f"http://127.0.0.1:{server.port}/livez"
        assert httpx.get(url).text == "ok"
        first = server.worker
        # As the kernel does when memory runs out. A server that has just started gives up after a crash.
        time.sleep(max(0.0, first.create_time() + 6 - time.time()))
        first.kill()
        first.wait(PATIENCE)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(url).text == "ok":
                    break
        assert httpx.get(url).text == "ok"
        assert server.worker.pid != first.pid
        assert psutil.pid_exists(server.pid)
