// Programs as the README has them: they are compiled, and not run.
import { Bot, Client, GiveUp, LeaseLost, Unavailable, type Handler, type Job, type JobRecord } from "jobsite-client";

async function resize(job: Job): Promise<{ width: number }> {
  const { image } = job.payload as { image?: string };
  if (!image) throw new GiveUp("The payload has no image.");
  job.signal.throwIfAborted();
  job.progress(50, "resizing");
  await fetch(image, { signal: job.signal });
  return { width: 640 };
}

const handlers: Record<string, Handler> = { resize, count: (job) => String(job.payload).length };
export const code: Promise<number> = new Bot("http://localhost", "jsb_x", handlers, { concurrency: 4 }).run();

export async function produce(client: Client): Promise<unknown> {
  const job: JobRecord = await client.enqueue("resize", { image: "a.png" }, { key: "a", runAt: new Date() });
  try {
    return (await client.wait(job.id, { timeout: 60 })).result;
  } catch (error) {
    if (error instanceof LeaseLost) return error.cancel;
    if (error instanceof Unavailable) return error.maybeDone;
    throw error;
  }
}

export async function loop(client: Client): Promise<void> {
  await client.hello("a", { identity: "pod", kinds: ["sum"], holds: [[17, 1]] });
  const { jobs, retryAfter } = await client.claim({ limit: 2, wait: 20, slots: { all: 2, free: 2, lost: 0 } });
  const completed = jobs.map(({ id, attempt, payload }) => ({ id, attempt, result: payload }));
  const { rejected } = await client.exchange({ completed, claim: { limit: retryAfter ? 0 : 1 } });
  for (const { verb, cancel } of rejected) console.log(verb, cancel);
  await client.goodbye();
}
