// What a bot does beside what the conformance suite sees: progress, results that are refused, slots that are lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Bot, EXIT_REFUSED, EXIT_RESTART, EXIT_STOPPED, GiveUp } from "../dist/index.js";
import { job, problem, serve } from "./server.mjs";

/** A claim that gives these jobs, and later ones that wait for the end of the test. */
const given = (...jobs) => [{ jobs }, () => new Promise((resolve) => setTimeout(() => resolve({}), 300).unref())];

async function using(answers, handlers, use, options = {}) {
  const server = await serve(answers);
  const bot = new Bot(server.url, "jsb_x", handlers, { grace: 0.1, log: () => undefined, ...options });
  const ended = bot.run();
  try {
    await use(server, bot, ended);
  } finally {
    bot.stop();
    await ended;
    server.stop();
  }
}

test("a bot calls hello, works, reports and calls goodbye", () =>
  using(
    { claim: given(job(7)) },
    { sum: () => ({ value: 3 }) },
    async (server, bot, ended) => {
      await server.called("jobs/7/complete");
      bot.stop();
      assert.equal(await ended, EXIT_STOPPED);
      const [hello] = server.of("hello");
      assert.deepEqual(hello.body.kinds, ["sum"]);
      assert.deepEqual(server.of("claim")[0].body.slots, { all: 1, free: 1, lost: 0 });
      assert.deepEqual(server.of("jobs/7/complete")[0].body, { attempt: 1, result: { value: 3 } });
      assert.deepEqual(server.of("goodbye")[0].body, { instance: hello.body.instance });
      assert.ok(server.calls.every((call) => call.headers["bot-instance"] === hello.body.instance));
    },
    { version: "1.2" },
  ));

test("what a handler throws fails the job, and GiveUp fails it for good", () =>
  using(
    { claim: given(job(7, "bad"), job(8, "worse")) },
    {
      bad: () => {
        throw new Error("no file");
      },
      worse: () => {
        throw new GiveUp("no such thing");
      },
    },
    async (server) => {
      const [bad] = await server.called("jobs/7/fail");
      assert.match(bad.body.error, /no file/);
      assert.equal(bad.body.retry, true);
      const [worse] = await server.called("jobs/8/fail");
      assert.deepEqual(worse.body, { attempt: 1, error: "no such thing", retry: false });
    },
    { concurrency: 2 },
  ));

test("a result that the server refuses fails the job with its reason", () =>
  using(
    { claim: given(job(7)), "jobs/7/complete": [problem(422, "invalid", { detail: "result: too long" })] },
    { sum: () => 1 },
    async (server) => {
      const [failed] = await server.called("jobs/7/fail");
      assert.deepEqual(failed.body, {
        attempt: 1,
        error: "The server refused the result: result: too long",
        retry: false,
      });
    },
  ));

test("a result that JSON has no form for fails the job for good", () =>
  using({ claim: given(job(7)) }, { sum: () => 1n }, async (server) => {
    const [failed] = await server.called("jobs/7/fail");
    assert.match(failed.body.error, /cannot be sent as JSON/);
    assert.equal(failed.body.retry, false);
  }));

test("progress goes with a heartbeat, and again if that did not arrive", () =>
  using(
    { claim: given(job(7)), "jobs/7/heartbeat": [null, {}] },
    {
      sum: async (held) => {
        held.progress(40.7, "p. 4");
        await new Promise((resolve) => held.signal.addEventListener("abort", resolve));
        throw held.signal.reason;
      },
    },
    async (server) => {
      const beats = await server.called("jobs/7/heartbeat", 2);
      assert.deepEqual(
        beats.map((beat) => beat.body),
        Array(2).fill({ attempt: 1, progress: 40, note: "p. 4" }),
      );
    },
  ));

test("a handler learns that its lease is lost, and nothing more is sent for it", () =>
  using(
    { claim: given(job(7)), "jobs/7/heartbeat": [problem(409, "lease_lost")] },
    {
      sum: async (held) => {
        await new Promise((resolve) => held.signal.addEventListener("abort", resolve));
        throw new Error("it was interrupted");
      },
    },
    async (server) => {
      await server.called("jobs/7/heartbeat");
      await server.called("claim", 2);
      assert.deepEqual([server.of("jobs/7/heartbeat").length, server.of("jobs/7/fail").length], [1, 0]);
    },
    { heartbeatEvery: 0.05 },
  ));

test("a process whose every slot is lost ends, to be started again", () =>
  using(
    { claim: given(job(7)), "jobs/7/heartbeat": [problem(409, "lease_lost")] },
    {
      sum: () => new Promise(() => undefined),
    },
    async (server, _bot, ended) => {
      assert.equal(await ended, EXIT_RESTART);
    },
    { heartbeatEvery: 0.05 },
  ));

test("a warning of hello is logged, and a refusal ends the bot", () => {
  const lines = [];
  return using(
    { hello: [{ warnings: ["No job of kind sum has ever been enqueued."] }], claim: [problem(401, "unauthorized")] },
    { sum: () => 1 },
    async (_server, _bot, ended) => {
      assert.equal(await ended, EXIT_REFUSED);
      assert.ok(lines.some((line) => line.includes("No job of kind sum")));
    },
    { log: (_level, line) => lines.push(line) },
  );
});

test("options that cannot be right are refused at once", () => {
  assert.throws(() => new Bot("http://host", "jsb_x", {}), /at least one kind/);
  assert.throws(() => new Bot("http://host", "jsb_x", { sum: () => 1 }, { concurrency: 0 }), /concurrency/);
  assert.throws(() => new Bot("http://host", "jsb_x", { sum: () => 1 }, { identity: "a", alone: false }), /not both/);
});
