/** Typed methods for the calls of bots and producers. */
import { Backoff, sleep } from "./backoff.js";
import { Unavailable } from "./errors.js";
import type {
  BotHeartbeat,
  Claim,
  ClaimOptions,
  EnqueueOptions,
  Enqueued,
  Exchange,
  ExchangeOptions,
  Goodbye,
  Hello,
  HelloOptions,
  JobPage,
  JobRecord,
  Lease,
  NewJob,
  Renewal,
  Reported,
  Slots,
  Throttled,
} from "./messages.js";
import { Transport, type Ask } from "./transport.js";

/** Most jobs of one bulk call. */
const BULK_LIMIT = 10_000;
const FINISHED = ["succeeded", "failed", "cancelled"];

/** Whether a second call finds the job of the first: one that lets its key go may have done so by then. */
const keepsKey = (job: { readonly key?: string; readonly unique?: string }): boolean =>
  job.key !== undefined && (job.unique ?? "always") === "always";

/** How a call is made: seconds for all tries, for one try, and a signal to give it up. */
export type Tries = Pick<Ask, "retryFor" | "timeout" | "signal">;

/**
 * Jobsite's API at `url`, called with a bot's token or a user's API key.
 *
 * Methods throw `Unauthorized` for a bad token, `Unavailable` when there was no answer for `retryFor` seconds,
 * `LeaseLost` and `InstanceReplaced` where they are about a lease, and `JobsiteError` for any other refusal. Reports,
 * reading, and enqueueing with a `key` are repeated; a claim only if the server certainly did not act on it.
 */
export class Client extends Transport {
  // --- A bot about itself ---------------------------------------------------------------------------------------

  /** Register a new instance of this bot. Its name is sent with every later call. */
  async hello(instance: string, options: HelloOptions = {}, tries: Tries = {}): Promise<Hello> {
    if (options.holds === undefined) this.instance = instance;
    const reply = await this.#post<Hello>("hello", { instance, ...options }, tries);
    this.instance = instance;
    return reply;
  }

  /** End this instance: all that it holds is released, and its claims get nothing. */
  goodbye(tries: Tries = {}): Promise<Goodbye> {
    return this.#post("goodbye", { instance: this.instance }, tries);
  }

  /** The heartbeat of the process. The answer names the leases of `holds` that it has lost. Not repeated. */
  botHeartbeat(body: { version?: string; holds?: readonly Lease[]; slots?: Slots } = {}): Promise<BotHeartbeat> {
    return this.#post("heartbeat", body, { retryFor: 0 });
  }

  // --- A bot about its jobs -------------------------------------------------------------------------------------

  /** Claim up to `limit` due jobs of these kinds. */
  async claim(options: ClaimOptions & { slots?: Slots } = {}, tries: Tries = {}): Promise<Claim> {
    const ask = { body: options, repeatable: false, timeout: this.timeout + (options.wait ?? 0), ...tries };
    const { body, retryAfter } = await this.ask("POST", "claim", ask);
    return { ...(body as Omit<Claim, "retryAfter">), retryAfter };
  }

  /** Reports, heartbeats and a claim in one call and one transaction. Name each job once. */
  async exchange(options: ExchangeOptions, tries: Tries = {}): Promise<Exchange> {
    const timeout = this.timeout + (options.claim?.wait ?? 0);
    const ask = { body: options, repeatable: options.claim === undefined, timeout, ...tries };
    const { body, retryAfter } = await this.ask("POST", "exchange", ask);
    return { ...(body as Omit<Exchange, "retryAfter">), retryAfter };
  }

  /** Work on a job begins that was claimed with `start: false`. */
  start(job: number, attempt: number, tries: Tries = {}): Promise<Renewal> {
    return this.#post(`jobs/${job}/start`, { attempt }, tries);
  }

  /** Renew a lease. Not repeated: the next heartbeat follows soon. */
  heartbeat(job: number, attempt: number, more: { progress?: number; note?: string } = {}): Promise<Renewal> {
    return this.#post(`jobs/${job}/heartbeat`, { attempt, ...more }, { retryFor: 0 });
  }

  /** Report success. `result` is any JSON value of at most 256 KiB. */
  complete(job: number, attempt: number, result?: unknown, tries: Tries = {}): Promise<Reported> {
    return this.#post(`jobs/${job}/complete`, { attempt, result }, tries);
  }

  /**
   * Report failure. With `retry: false` the job ends without further attempts. `retryIn`: seconds until the next one,
   * in place of the backoff.
   */
  fail(job: number, attempt: number, error: string, retry = true, tries: Tries = {}, retryIn?: number): Promise<Reported> {
    return this.#post(`jobs/${job}/fail`, { attempt, error, retry, retry_in: retryIn }, tries);
  }

  /**
   * Hand a job of this bot back unfinished. The attempt is not counted. With `run_in`, the seconds until it is due
   * again, it is deferred.
   */
  release(
    job: number,
    attempt: number,
    tries: Tries = {},
    more: { run_in?: number; reason?: string } = {},
  ): Promise<Reported> {
    return this.#post(`jobs/${job}/release`, { attempt, ...more }, tries);
  }

  /** Let no jobs of a kind, or of a group of it, be claimed for so many seconds. */
  throttle(kind: string, seconds: number, more: { group?: string; reason?: string } = {}): Promise<Throttled> {
    return this.#post("throttle", { kind, for: seconds, ...more });
  }

  // --- Producers ------------------------------------------------------------------------------------------------

  /** Put a job in the queue. With a `key`, to enqueue it again returns the job that is there. */
  enqueue(kind: string, payload?: unknown, options: EnqueueOptions = {}): Promise<JobRecord> {
    const { runAt, maxAttempts, ...terms } = options;
    const body = { kind, payload, ...terms, run_at: runAt?.toISOString(), max_attempts: maxAttempts };
    return this.#post("jobs", body, { repeatable: keepsKey(options) });
  }

  /** Put many jobs in the queue, in batches of 10 000, each entirely or not at all. */
  async enqueueBulk(jobs: readonly NewJob[]): Promise<Enqueued> {
    const total = { created: 0, existing: 0, replaced: 0, ids: [] as number[], outcomes: [] as string[] };
    for (let from = 0; from < jobs.length; from += BULK_LIMIT) {
      const batch = jobs.slice(from, from + BULK_LIMIT);
      const repeatable = batch.every(keepsKey);
      const reply = await this.#post<Partial<Enqueued>>("jobs/bulk", { jobs: batch }, { repeatable, timeout: 60 });
      // A server of before has not all of them.
      total.created += reply.created ?? 0;
      total.existing += reply.existing ?? 0;
      total.replaced += reply.replaced ?? 0;
      total.ids.push(...(reply.ids ?? []));
      total.outcomes.push(...(reply.outcomes ?? []));
    }
    return total;
  }

  /** One job. */
  async get(job: number): Promise<JobRecord> {
    return (await this.ask("GET", `jobs/${job}`)).body as JobRecord;
  }

  /**
   * One page of jobs. Filters: `status`, `kind`, `key` with its `kind`, `group`, `bot`, and `q`, a search as in the
   * console; `cursor` pages.
   */
  async jobs(filters: Readonly<Record<string, string | number | undefined>> = {}): Promise<JobPage> {
    return (await this.ask("GET", "jobs", { query: filters })).body as JobPage;
  }

  /** Wait until a job has ended, and return it. `Unavailable` if it has not after `timeout` seconds. */
  async wait(job: number, options: { timeout?: number; signal?: AbortSignal } = {}): Promise<JobRecord> {
    const until = performance.now() / 1000 + (options.timeout ?? Infinity);
    const pause = new Backoff(0.1, 2);
    for (;;) {
      const found = await this.get(job);
      if (FINISHED.includes(found.status)) return found;
      const delay = pause.next();
      options.signal?.throwIfAborted();
      if (performance.now() / 1000 + delay > until) {
        throw new Unavailable(`Job ${job} is still ${found.status} after ${options.timeout} s.`, false);
      }
      await sleep(delay, options.signal);
    }
  }

  async #post<Answer>(path: string, body: unknown, ask: Ask = {}): Promise<Answer> {
    return (await this.ask("POST", path, { body, ...ask })).body as Answer;
  }
}
