// A whole bot on a client that openapi-typescript and openapi-fetch made of the document: `node bot.js URL TOKEN`.
// It works until a job asks it to stop, and prints a line of JSON for each answer worth knowing.

import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Lease = components["schemas"]["LeaseOut"];

const [url, token] = process.argv.slice(2);
if (!url || !token) throw new Error("bot.js URL TOKEN");

const instance = `node-${process.pid}-${Date.now()}`;
const client = createClient<paths>({
  baseUrl: url,
  headers: { Authorization: `Bearer ${token}`, "Bot-Instance": instance },
});

function print(line: object): void {
  console.log(JSON.stringify(line));
}

function lease(job: Lease) {
  return { params: { path: { job_id: job.id } } };
}

async function work(job: Lease): Promise<void> {
  const renewed = await client.POST("/api/v1/jobs/{job_id}/heartbeat", {
    ...lease(job),
    body: { attempt: job.attempt, progress: 50, note: "half of it" },
  });
  if (renewed.error) throw new Error(renewed.error.detail);
  if (job.kind === "bad") {
    const body = { attempt: job.attempt, error: "it is bad", retry: false };
    const failed = await client.POST("/api/v1/jobs/{job_id}/fail", { ...lease(job), body });
    if (failed.error) throw new Error(failed.error.detail);
    print({ failed: failed.data.job_id, status: failed.data.status });
    return;
  }
  const body = { attempt: job.attempt, result: { worked: true } };
  const done = await client.POST("/api/v1/jobs/{job_id}/complete", { ...lease(job), body });
  if (done.error) throw new Error(done.error.detail);
  print({ completed: done.data.job_id, restart: done.data.restart });
}

// What has ended cannot be reported otherwise: the refusal says who ended it.
async function reportLate(job: Lease): Promise<void> {
  const body = { attempt: job.attempt, result: "too late" };
  const late = await client.POST("/api/v1/jobs/{job_id}/complete", { ...lease(job), body });
  if (!late.error) throw new Error("it was accepted");
  if (late.error.code === "lease_lost") {
    const { verb, ended_by, cancel, job_id, attempt, paused } = late.error;
    print({ lost: job_id, attempt, verb, ended_by, cancel, paused });
  } else if (late.error.code === "too_many_requests" || late.error.code === "unavailable") {
    print({ wait: late.response.headers.get("Retry-After") });
  } else {
    throw new Error(late.error.detail);
  }
}

async function main(): Promise<void> {
  const hello = await client.POST("/api/v1/hello", { body: { instance, identity: "node", kinds: ["good", "bad"] } });
  if (hello.error) throw new Error(hello.error.detail);
  print({ hello: hello.data.name, warnings: hello.data.warnings.length });
  for (;;) {
    const claimed = await client.POST("/api/v1/claim", { body: { limit: 1, wait: 5 } });
    if (claimed.error) throw new Error(claimed.error.detail);
    const job = claimed.data.jobs[0];
    if (!job) continue;
    await work(job);
    if (job.kind === "bad") await reportLate(job);
    if ((job.payload as { last?: boolean }).last) break;
  }
  const goodbye = await client.POST("/api/v1/goodbye", { body: { instance } });
  if (goodbye.error) throw new Error(goodbye.error.detail);
  print({ released: goodbye.data.released });
}

await main();
