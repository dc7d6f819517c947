// The bot of this client that the conformance suite checks:
//
//     python -m jobsite_client.conformance -- node client-js/examples/conformance-bot.mjs
import { appendFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { Bot, GiveUp } from "../dist/index.js";

const handlers = {
  "conformance.echo": (job) => job.payload,
  "conformance.fail": (job) => {
    throw job.payload.retry ? new Error(job.payload.error) : new GiveUp(job.payload.error);
  },
  "conformance.sleep": async (job) => {
    const { seconds, file } = job.payload;
    const until = performance.now() + seconds * 1000;
    await appendFile(file, `begin ${job.id} ${job.attempt}\n`);
    for (let left; (left = until - performance.now()) > 0; ) {
      await wait(Math.min(left, 100), undefined, { signal: job.signal });
      await appendFile(file, `work ${job.id} ${job.attempt}\n`);
    }
    return { slept: seconds };
  },
};

const concurrency = Number(process.argv[2] ?? 1);
process.exit(await new Bot(process.env.JOBSITE_URL, process.env.JOBSITE_TOKEN, handlers, { concurrency }).run());
