// graphile-worker, as https://worker.graphile.org/docs/performance says to run it fast. `node FILE ACTION JSON`.
import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";
import pg from "pg";
import { batches, main, now, until } from "./peer.mjs";

const quiet = new Logger(() => () => {});

async function prepare({ url }) {
  await runMigrations({ connectionString: url, logger: quiet });
  return {};
}

async function enqueue({ url, jobs, batch }) {
  const utils = await makeWorkerUtils({ connectionString: url, logger: quiet });
  await utils.addJob("warm", {});
  await utils.withPgClient((client) => client.query("DELETE FROM graphile_worker._private_jobs"));
  const start = now();
  for (const size of batches(jobs, batch)) {
    await utils.addJobs(Array.from({ length: size }, (_, i) => ({ identifier: "noop", payload: { n: i } })));
  }
  const seconds = now() - start;
  await utils.release();
  return { seconds };
}

async function work({ url, jobs, concurrency, local_queue: size }) {
  let first = 0;
  let done = 0;
  const worker = { concurrentJobs: concurrency, maxPoolSize: concurrency + 1, pollInterval: 2000 };
  if (size) Object.assign(worker, { localQueue: { size }, completeJobBatchDelay: 0, failJobBatchDelay: 0 });
  const client = new pg.Client(url);
  await client.connect();
  const all = resolvers();
  const runner = await run({
    preset: { worker: { ...worker, connectionString: url } },
    logger: quiet,
    noHandleSignals: true,
    taskList: {
      noop: async () => {
        first ||= now();
        if (++done === jobs) all.resolve();
      },
    },
  });
  await all.promise;
  // A task that has run is completed a little later; the job is done when the database says so.
  await until(client, "SELECT NOT EXISTS (SELECT FROM graphile_worker._private_jobs) AS done");
  const seconds = now() - first;
  await runner.stop();
  await client.end();
  return { seconds };
}

function resolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

await main({ prepare, enqueue, work });
