/** `Bot` runs handlers: it claims jobs, sends heartbeats and reports, and stops in order. */
import { once } from "node:events";
import { Backoff, jittered, sleep, spread } from "./backoff.js";
import { Client } from "./client.js";
import { EXIT_REFUSED, EXIT_REPLACED, EXIT_STOPPED, NO_SLOT_LEFT, RESTART, endingFor, type Ending } from "./endings.js";
import { JobsiteError, Unavailable } from "./errors.js";
import { HeldJob, type Job } from "./job.js";
import type { Claim, ClaimedJob, Lease, Orders, Slots } from "./messages.js";
import { hostName, newInstance, toConsole, type Log } from "./names.js";
import { Pulse } from "./pulse.js";
import { Reporter } from "./reporter.js";

/** What it returns is the result. What it throws fails the job, to be tried again; `GiveUp` fails it for good. */
export type Handler = (job: Job) => unknown;

export interface BotOptions {
  /** Jobs at a time (1). */
  readonly concurrency?: number;
  /** What stays the same when this process is started again: by default the name of the host. */
  readonly identity?: string;
  /** False: other processes of the same identity are not replaced (true). */
  readonly alone?: boolean;
  /** Seconds that running jobs may go on after SIGTERM or SIGINT (3). Then they are handed back. */
  readonly grace?: number;
  /** Seconds between heartbeats of a job: by default a third of its lease. */
  readonly heartbeatEvery?: number;
  /** Shown to operators. */
  readonly version?: string;
  /** Where lines go: by default to the console. */
  readonly log?: Log;
  /** A client of your own making. */
  readonly client?: Client;
}

/** Seconds of a long poll, and between claims of a paused bot. */
const WAIT = 20;
const PAUSED_EVERY = 5;
/** Seconds at the end: for the last reports, for goodbye, and for handlers to notice that they were asked to stop. */
const REPORTS_WITHIN = 2;
const GOODBYE_WITHIN = 2;
const HANDLERS_WITHIN = 1;

/** A bot for the server at `url`. `handlers` has a function for each kind of job that it takes. It runs once. */
export class Bot {
  readonly #client: Client;
  readonly #handlers: Readonly<Record<string, Handler>>;
  readonly #options: BotOptions;
  readonly #concurrency: number;
  readonly #grace: number;
  readonly #identity: string;
  readonly #log: Log;
  readonly #running = new Set<HeldJob>();
  readonly #reporter: Reporter;
  readonly #pulse: Pulse;
  readonly #trouble = new Backoff(0.5, 15);
  /** Aborted when the bot begins to stop; when it must stop at once; when it has ended. */
  readonly #stopping = new AbortController();
  readonly #hurry = new AbortController();
  readonly #over = new AbortController();
  #ending: Ending | undefined;
  #changed: (() => void)[] = [];

  constructor(url: string, token: string, handlers: Readonly<Record<string, Handler>>, options: BotOptions = {}) {
    if (Object.keys(handlers).length === 0) throw new TypeError("A bot needs a handler for at least one kind of job.");
    if (options.identity !== undefined && options.alone === false) {
      throw new TypeError("Give an identity, or alone: false for one of the process's own; not both.");
    }
    this.#concurrency = options.concurrency ?? 1;
    if (!Number.isInteger(this.#concurrency) || this.#concurrency < 1)
      throw new TypeError("concurrency is at least 1.");
    this.#client = options.client ?? new Client(url, token);
    this.#handlers = handlers;
    this.#options = options;
    this.#grace = options.grace ?? 3;
    this.#identity = options.identity ?? (options.alone === false ? newInstance() : hostName());
    this.#log = options.log ?? toConsole;
    const events = {
      answered: (orders: Orders) => this.#obey(orders),
      ends: (error: unknown) => this.#ends(error),
      over: this.#over.signal,
    };
    this.#reporter = new Reporter(this.#client, this.#log, events);
    this.#pulse = new Pulse(this.#client, this.#log, events, options);
  }

  /** Work until stopped. Returns the exit code: `process.exit(await bot.run())`. */
  async run(): Promise<number> {
    const onSignal = (signal: NodeJS.Signals): void => {
      if (this.#ending) this.#hurry.abort();
      this.#end({ code: EXIT_STOPPED, why: `Received ${signal}.` });
    };
    const signals = ["SIGTERM", "SIGINT"] as const;
    for (const signal of signals) process.on(signal, onSignal);
    try {
      const claiming = this.#claimAll();
      void this.#pulse.ofProcess({
        running: this.#running,
        slots: () => this.#slots(),
        lostAll: () => this.#end(NO_SLOT_LEFT),
        until: this.#stopping.signal,
      });
      if (!this.#stopping.signal.aborted) await once(this.#stopping.signal, "abort");
      await this.#shutDown(claiming);
    } finally {
      for (const signal of signals) process.off(signal, onSignal);
      this.#over.abort();
    }
    return this.#ending?.code ?? EXIT_STOPPED;
  }

  /** Stop in order. `run()` returns when it is done. */
  stop(): void {
    this.#end({ code: EXIT_STOPPED, why: "Asked to stop." });
  }

  // --- Claims ---------------------------------------------------------------------------------------------------

  async #claimAll(): Promise<void> {
    const poll = new Backoff(0.05, 1);
    if (!(await this.#hello())) return;
    while (!this.#stopping.signal.aborted) {
      const room = this.#concurrency - this.#running.size;
      if (room <= 0) {
        await this.#change();
        continue;
      }
      const began = performance.now();
      try {
        const ask = { limit: room, kinds: Object.keys(this.#handlers), wait: WAIT, slots: this.#slots() };
        const claim = await this.#client.claim(ask, { retryFor: 0, signal: this.#over.signal });
        this.#trouble.reset();
        for (const job of claim.jobs) this.#take(job);
        this.#obey(claim);
        await this.#rest(claim, performance.now() - began, poll);
      } catch (error) {
        if (this.#over.signal.aborted || this.#ends(error)) return;
        await this.#recover(error);
      }
    }
  }

  async #rest(claim: Claim, took: number, poll: Backoff): Promise<void> {
    const asked = spread(claim.retryAfter ?? 0);
    if (claim.jobs.length || took >= (WAIT / 2) * 1000) {
      poll.reset();
      if (asked) await sleep(asked, this.#stopping.signal);
    } else {
      // Answered at once: the server has no room for it, or no job for this bot at present.
      await sleep(Math.max(claim.paused ? jittered(PAUSED_EVERY) : poll.next(), asked), this.#stopping.signal);
    }
  }

  /** Wait after a claim that failed. If it may have given jobs, name all that are known, so that they are released. */
  async #recover(error: unknown): Promise<void> {
    this.#log("warn", `No claim, will try again. ${String(error)}`);
    await sleep(this.#trouble.next(error instanceof Unavailable ? error.retryAfter : 0), this.#stopping.signal);
    if (error instanceof Unavailable && error.maybeDone && !this.#stopping.signal.aborted) {
      await this.#hello([...this.#running, ...this.#reporter.jobs].map((job) => job.lease));
    }
  }

  /** Call hello until it is answered, with a new instance. False: the bot ends. */
  async #hello(holds?: readonly Lease[]): Promise<boolean> {
    const instance = newInstance();
    const { version } = this.#options;
    const about = {
      identity: this.#identity,
      host: hostName(),
      pid: process.pid,
      kinds: Object.keys(this.#handlers),
      slots: this.#slots(),
      ...(version === undefined ? {} : { version }),
      ...(holds === undefined ? {} : { holds }),
    };
    while (!this.#stopping.signal.aborted) {
      try {
        const reply = await this.#client.hello(instance, about, { retryFor: 0 });
        this.#log("info", `Called hello as ${instance}.`);
        for (const warning of reply.warnings) this.#log("warn", warning);
        this.#trouble.reset();
        this.#obey(reply);
        return true;
      } catch (error) {
        if (this.#ends(error)) return false;
        const { status = 0, message } = error as JobsiteError;
        if (!(error instanceof Unavailable) && status < 500) {
          this.#end({ code: EXIT_REFUSED, why: `The server refused this bot: ${message}` });
          return false;
        }
        this.#log("warn", `Waiting for the server. ${message}`);
        await sleep(this.#trouble.next(error instanceof Unavailable ? error.retryAfter : 0), this.#stopping.signal);
      }
    }
    return false;
  }

  // --- Work -----------------------------------------------------------------------------------------------------

  #take(claimed: ClaimedJob): void {
    const job = new HeldJob(claimed);
    this.#log("info", `${job.toString()}: claimed.`);
    if (this.#stopping.signal.aborted) void this.#reporter.handBack(job);
    else void this.#work(job, claimed.lease_for);
  }

  async #work(job: HeldJob, leaseFor: number | undefined): Promise<void> {
    this.#running.add(job);
    void this.#pulse.ofJob(job, leaseFor);
    try {
      const handler = this.#handlers[job.kind];
      if (!handler) throw new Error(`This bot has no handler for ${job.kind}.`);
      const result = await handler(job);
      void this.#reporter.complete(job, result).then(() => this.#notify());
    } catch (error) {
      if (job.lost) this.#log("info", `${job.toString()}: stopped unfinished.`);
      else void this.#reporter.fail(job, error).then(() => this.#notify());
    }
    job.end();
    this.#running.delete(job);
    this.#notify();
  }

  #slots(): Slots {
    const late = performance.now() - this.#grace * 1000;
    const lost = [...this.#running].filter((job) => job.stoppedAt !== undefined && job.stoppedAt < late).length;
    return { all: this.#concurrency, free: Math.max(this.#concurrency - this.#running.size, 0), lost };
  }

  // --- The end --------------------------------------------------------------------------------------------------

  #obey(orders: Orders): void {
    if (orders.restart) this.#end(RESTART);
  }

  /** Whether this error ends the whole bot. */
  #ends(error: unknown): boolean {
    const ending = endingFor(error, this.#client.instance);
    if (ending) this.#end(ending);
    return ending !== undefined;
  }

  #end(ending: Ending): void {
    if (this.#ending) return;
    this.#ending = ending;
    this.#log(ending.code === EXIT_STOPPED ? "info" : "warn", ending.why);
    this.#stopping.abort();
    this.#notify();
  }

  async #shutDown(claiming: Promise<void>): Promise<void> {
    const { code, why } = this.#ending as Ending;
    if (code === EXIT_STOPPED) {
      await this.#within(
        this.#grace,
        () => this.#running.size + this.#reporter.jobs.size === 0 || this.#hurry.signal.aborted,
      );
    }
    if (code !== EXIT_REPLACED && code !== EXIT_REFUSED) await this.#sayGoodbye(why);
    for (const job of this.#running) job.stop(why);
    this.#over.abort();
    await Promise.race([claiming, sleep(HANDLERS_WITHIN)]);
    await this.#within(HANDLERS_WITHIN, () => this.#running.size === 0);
    if (this.#running.size) this.#log("warn", `Stopped, with ${this.#running.size} handlers running.`);
  }

  async #sayGoodbye(why: string): Promise<void> {
    const unfinished = [...this.#running].filter((job) => !job.lost);
    for (const job of unfinished) job.stop(why);
    await this.#within(REPORTS_WITHIN, () => this.#reporter.jobs.size === 0);
    if (this.#client.instance === undefined) return;
    try {
      await this.#client.goodbye({ timeout: GOODBYE_WITHIN, retryFor: GOODBYE_WITHIN });
    } catch (error) {
      this.#log("warn", `The goodbye was not taken, so jobs are handed back one by one. ${String(error)}`);
      await Promise.all(unfinished.map((job) => this.#reporter.handBack(job)));
    }
  }

  /** Wait for a condition, for so many seconds at most. */
  async #within(seconds: number, condition: () => boolean): Promise<void> {
    const end = performance.now() + seconds * 1000;
    while (!condition() && performance.now() < end) {
      await Promise.race([this.#change(), sleep((end - performance.now()) / 1000, this.#hurry.signal)]);
      if (this.#hurry.signal.aborted) return;
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #notify(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const resolve of waiting) resolve();
  }
}
