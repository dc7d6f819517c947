// One call: when it is repeated, and what its refusals are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, InstanceReplaced, JobsiteError, LeaseLost, Unauthorized, Unavailable } from "../dist/index.js";
import { problem, serve } from "./server.mjs";

async function using(answers, use) {
  const server = await serve(answers);
  try {
    await use(new Client(server.url, "jsb_x", { retryFor: 5 }), server);
  } finally {
    server.stop();
  }
}

test("a report whose answer is lost is repeated as it is", () =>
  using({ "jobs/7/complete": [null, problem(502, ""), {}] }, async (client, server) => {
    await client.complete(7, 3, { n: 1 });
    assert.deepEqual(
      server.calls.map((call) => call.body),
      Array(3).fill({ attempt: 3, result: { n: 1 } }),
    );
    assert.equal(server.calls[0].headers.authorization, "Bearer jsb_x");
  }));

test("a claim is repeated only if the server certainly did nothing", () =>
  using({ claim: [problem(503, "unavailable"), null, {}] }, async (client, server) => {
    await assert.rejects(client.claim(), (error) => error instanceof Unavailable && error.maybeDone);
    assert.equal(server.of("claim").length, 2);
  }));

test("outcome_unknown is a call that may have been carried out", () =>
  using({ claim: [problem(503, "outcome_unknown")] }, async (client) => {
    await assert.rejects(client.claim(), (error) => error instanceof Unavailable && error.maybeDone);
  }));

test("Retry-After is respected", () =>
  using(
    { "jobs/7": [{ ...problem(429, "too_many_requests"), headers: { "Retry-After": "1" } }, {}] },
    async (client, server) => {
      await client.get(7);
      assert.ok(server.calls[1].at - server.calls[0].at >= 990);
    },
  ));

test("a server that is not there did nothing", async () => {
  const server = await serve({});
  server.stop();
  const client = new Client(server.url, "jsb_x", { retryFor: 0 });
  await assert.rejects(client.claim(), (error) => error instanceof Unavailable && !error.maybeDone);
});

test("a new job without a key is not sent twice", () =>
  using({ jobs: [null, {}] }, async (client, server) => {
    await assert.rejects(client.enqueue("sum"), Unavailable);
    assert.equal(server.calls.length, 1);
  }));

test("a new job with a key is, and has only the fields that were given", () =>
  using({ jobs: [null, { id: 7 }] }, async (client, server) => {
    const runAt = new Date(Date.UTC(2030, 0, 2));
    assert.equal((await client.enqueue("sum", { n: 1 }, { key: "k", runAt })).id, 7);
    assert.deepEqual(server.calls[1].body, {
      kind: "sum",
      payload: { n: 1 },
      key: "k",
      run_at: "2030-01-02T00:00:00.000Z",
    });
  }));

test("many jobs go in batches", () =>
  using(
    {
      "jobs/bulk": [
        { created: 9_999, existing: 1, ids: [1] },
        { created: 0, existing: 0, replaced: 1, ids: [2], outcomes: ["replaced"] },
      ],
    },
    async (client, server) => {
      const total = await client.enqueueBulk(
        Array.from({ length: 10_001 }, (_, n) => ({ kind: "sum", key: String(n) })),
      );
      assert.deepEqual(total, { created: 9_999, existing: 1, replaced: 1, ids: [1, 2], outcomes: ["replaced"] });
      assert.deepEqual(
        server.calls.map((call) => call.body.jobs.length),
        [10_000, 1],
      );
    },
  ));

test("a job is waited for until it has ended", () =>
  using(
    { "jobs/7": [{ status: "pending" }, { status: "processing" }, { status: "succeeded", result: 3 }] },
    async (client) => {
      assert.equal((await client.wait(7)).result, 3);
      assert.equal((await client.wait(7, { timeout: 0 })).status, "succeeded");
    },
  ));

test("a job that does not end in time is an error that names it", () =>
  using({ "jobs/7": [{ status: "pending" }] }, async (client) => {
    await assert.rejects(client.wait(7, { timeout: 0 }), /Job 7 is still pending/);
  }));

test("refusals have their class, status and code", () =>
  using(
    {
      "jobs/1/heartbeat": [problem(409, "lease_lost", { cancel: true, ended_by: "operator olga", reason: "no" })],
      claim: [problem(409, "instance_replaced"), problem(401, "unauthorized"), problem(422, "invalid", { errors: [] })],
    },
    async (client) => {
      await assert.rejects(client.heartbeat(1, 1), (error) => {
        assert.ok(error instanceof LeaseLost);
        assert.deepEqual([error.cancel, error.endedBy, error.reason], [true, "operator olga", "no"]);
        return true;
      });
      client.instance = "a";
      await assert.rejects(client.claim(), (error) => error instanceof InstanceReplaced && error.instance === "a");
      await assert.rejects(client.claim(), Unauthorized);
      await assert.rejects(
        client.claim(),
        (error) => error instanceof JobsiteError && error.status === 422 && error.code === "invalid",
      );
    },
  ));

test("an address or a token that cannot be right is refused at once", () => {
  assert.throws(() => new Client("ftp://host", "jsb_x"), TypeError);
  assert.throws(() => new Client("http://host", "two words"), TypeError);
});

test("the server's clock is known by its answers", () =>
  using({ heartbeat: [{ headers: { Date: new Date(Date.now() + 6 * 3600_000).toUTCString() } }] }, async (client) => {
    await client.botHeartbeat();
    assert.ok(Math.abs(client.serverNow() - Date.now() / 1000 - 6 * 3600) < 3);
  }));
