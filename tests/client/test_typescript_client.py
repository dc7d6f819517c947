"""The TypeScript client, as `make client-js` builds it, passes the conformance suite and works with the real server."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bots.models import Bot
from jobs.models import Job
from tests.client.test_conformance import check

ROOT = Path(__file__).resolve().parents[2] / "client-js"
pytestmark = pytest.mark.skipif(
    not shutil.which("node") or not (ROOT / "dist" / "index.js").exists(),
    reason="the TypeScript client is not built: make client-js",
)
#: A bot and a producer in one program: it enqueues jobs, works on them, and prints what became of them.
STORY = """
import { Bot, Client, GiveUp } from "./dist/index.js";
const { URL: url, KEY: key, TOKEN: token } = process.env;
const client = new Client(url, key);
const sum = await client.enqueue("sum", { numbers: [1, 2] }, { key: "a", priority: 3 });
const again = await client.enqueue("sum", {}, { key: "a" });
const { ids: [bad] } = await client.enqueueBulk([{ kind: "bad", payload: "ä" }]);
const handlers = {
  sum: (job) => ({ sum: job.payload.numbers.reduce((a, b) => a + b) }),
  bad: (job) => { throw new GiveUp(`no ${job.payload}`); },
};
const bot = new Bot(url, token, handlers, { concurrency: 2, version: "7", identity: "pod", log: () => {} });
const running = bot.run();
const done = [await client.wait(sum.id, { timeout: 30 }), await client.wait(bad, { timeout: 30 })];
const page = await client.jobs({ status: "succeeded" });
bot.stop();
const code = await running;
console.log(JSON.stringify({ same: again.id === sum.id, done, page: page.jobs.map((job) => job.id), code }));
"""


def test_the_typescript_client_breaks_no_rule() -> None:
    check("node", "client-js/examples/conformance-bot.mjs", "2")


@pytest.mark.django_db(transaction=True)
def test_a_bot_and_a_producer_in_one_program(live_server: Any, ada: Bot, ada_token: str, olga_key: str) -> None:
    environment = os.environ | {"URL": live_server.url, "KEY": olga_key, "TOKEN": ada_token}
    command = ["node", "--input-type=module", "-e", STORY]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    first, second = Job.objects.order_by("id")
    assert (found["same"], found["code"], found["page"]) == (True, 0, [first.pk])
    assert [(job["status"], job["result"], job["error"]) for job in found["done"]] == [
        ("succeeded", {"sum": 3}, ""),
        ("failed", None, "no ä"),
    ]
    assert (first.priority, second.attempt) == (3, 1)
    instance = ada.instances.get()
    assert (instance.identity, instance.version, instance.asked_kinds) == ("pod", "7", ["bad", "sum"])
    assert instance.ended_at is not None
