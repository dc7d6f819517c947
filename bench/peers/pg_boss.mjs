// pg-boss: `work()` in bursts of full batches, or `fetch()` and `complete()` in loops. `node FILE ACTION JSON`.
import { PgBoss } from "pg-boss";
import pg from "pg";
import { batches, main, now, until } from "./peer.mjs";

const QUEUE = "noop";

async function boss(url, options = {}) {
  const made = new PgBoss({ connectionString: url, schedule: false, supervise: false, ...options });
  made.on("error", (error) => console.error(error.message));
  await made.start();
  return made;
}

async function prepare({ url }) {
  const made = await boss(url);
  await made.createQueue(QUEUE);
  await made.stop({ graceful: false });
  return {};
}

async function enqueue({ url, jobs, batch }) {
  const made = await boss(url);
  await made.getQueue(QUEUE);
  const start = now();
  for (const size of batches(jobs, batch)) {
    await made.insert(QUEUE, Array.from({ length: size }, (_, i) => ({ data: { n: i } })));
  }
  const seconds = now() - start;
  await made.stop({ graceful: false });
  return { seconds };
}

async function work({ url, jobs, batch, concurrency, how }) {
  const made = await boss(url, { max: concurrency + 1 });
  const client = new pg.Client(url);
  await client.connect();
  let first = 0;
  if (how === "work") {
    const options = { batchSize: batch, localConcurrency: concurrency, burstWhenBatchFull: true };
    let done = 0;
    await new Promise((resolve) =>
      made.work(QUEUE, { ...options, pollingIntervalSeconds: 0.5 }, async (got) => {
        first ||= now();
        done += got.length;
        if (done === jobs) resolve();
      }),
    );
  } else {
    const loop = async () => {
      for (;;) {
        const got = await made.fetch(QUEUE, { batchSize: batch });
        if (got.length === 0) return;
        first ||= now();
        await made.complete(QUEUE, got.map((job) => job.id));
      }
    };
    await Promise.all(Array.from({ length: concurrency }, loop));
  }
  await until(client, "SELECT NOT EXISTS (SELECT FROM pgboss.job WHERE name = 'noop' AND state < 'completed') AS done");
  const seconds = now() - first;
  await client.end();
  await made.stop({ graceful: false });
  return { seconds };
}

await main({ prepare, enqueue, work });
