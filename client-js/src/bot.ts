/** `Bot` runs handlers: it claims jobs, sends heartbeats and reports, and stops in order. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { Backoff, jittered, sleep, spread } from "./backoff.js";
import { Client } from "./client.js";
import { InstanceReplaced, JobsiteError, LeaseLost, Unauthorized, Unavailable } from "./errors.js";
import { HeldJob, type Job } from "./job.js";
import type { Claim, ClaimedJob, Lease, Orders, Slots } from "./messages.js";
import { Reporter } from "./reporter.js";

/** Stopped in order, by a signal or by `stop()`. */
export const EXIT_STOPPED = 0;
/** An operator asked for a restart, or no slot is left: start the process again. */
export const EXIT_RESTART = 75;
/** A newer process of the same bot and identity took over: do not start this one again. */
export const EXIT_REPLACED = 76;
/** The server refuses this bot: a wrong token, or a wrong address. */
export const EXIT_REFUSED = 77;

/** What it returns is the result. What it throws fails the job, to be tried again; `GiveUp` fails it for good. */
export type Handler = (job: Job) => unknown;
export type Log = (level: "info" | "warn" | "error", message: string) => void;

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

interface Ending {
  readonly code: number;
  readonly why: string;
}

const RESTART: Ending = { code: EXIT_RESTART, why: "An operator asked this bot to restart." };
const NO_SLOT_LEFT: Ending = { code: EXIT_RESTART, why: "No slot is left: each handler was asked to stop and runs on." };

/** Seconds of a long poll, and between claims of a paused bot. */
const WAIT = 20;
const PAUSED_EVERY = 5;
/** Seconds between heartbeats of the process while it holds anything, and how many of them make one while it does not. */
const WORKING_EVERY = 5;
const IDLE_TICKS = 6;
/** The bounds of the seconds between two heartbeats of a job, and their number without a usable deadline. */
const SOONEST = 1;
const LATEST = 30;
const ORDINARY = 10;
/** Seconds, at most, until a heartbeat that did not arrive is tried again. */
const AGAIN_AFTER = 3;
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
    if (!Number.isInteger(this.#concurrency) || this.#concurrency < 1) throw new TypeError("concurrency is at least 1.");
    this.#client = options.client ?? new Client(url, token);
    this.#handlers = handlers;
    this.#options = options;
    this.#grace = options.grace ?? 3;
    this.#identity = options.identity ?? (options.alone === false ? newInstance() : hostName());
    this.#log = options.log ?? toConsole;
    this.#reporter = new Reporter(this.#client, this.#log, {
      answered: (orders) => this.#obey(orders),
      ends: (error) => this.#ends(error),
      over: this.#over.signal,
    });
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
      void this.#beatForProcess();
      await until(this.#stopping.signal);
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
    void this.#beat(job, leaseFor ?? this.#secondsTo(job.deadline_at));
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

  async #beat(job: HeldJob, leaseFor: number): Promise<void> {
    let every = this.#interval(leaseFor);
    for (;;) {
      await job.nextBeat(every);
      if (job.ended || job.lost) return;
      const news = job.takeNews();
      try {
        const renewal = await this.#client.heartbeat(job.id, job.attempt, news);
        every = this.#interval(renewal.lease_for ?? this.#secondsTo(renewal.deadline_at));
        this.#obey(renewal);
      } catch (error) {
        job.putBackNews(news);
        if (this.#ends(error)) return;
        if (error instanceof LeaseLost || (error as JobsiteError).status === 404) this.#lose(job, String(error));
        every = Math.min(every, jittered(AGAIN_AFTER));
      }
    }
  }

  #interval(left: number): number {
    return this.#options.heartbeatEvery ?? (left > 0 ? Math.min(Math.max(left / 3, SOONEST), LATEST) : ORDINARY);
  }

  #secondsTo(moment: string): number {
    return Date.parse(moment) / 1000 - this.#client.serverNow();
  }

  #lose(job: HeldJob, why: string): void {
    if (!job.ended && !job.lost) this.#log("warn", `${job.toString()}: the lease was lost. ${why}`);
    job.stop(why);
  }

  /** The heartbeat of the process: so it learns of a cancel, a release or a restart while a handler works. */
  async #beatForProcess(): Promise<void> {
    for (let tick = 1; ; tick++) {
      await sleep(WORKING_EVERY, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      const slots = this.#slots();
      if (slots.lost === slots.all) this.#end(NO_SLOT_LEFT);
      const working = [...this.#running].filter((job) => !job.lost);
      if (working.length === 0 && tick % IDLE_TICKS) continue;
      try {
        const { version } = this.#options;
        const body = { holds: working.map((job) => job.lease), slots, ...(version === undefined ? {} : { version }) };
        const reply = await this.#client.botHeartbeat(body);
        const lost = new Set(reply.lost.map(String));
        for (const job of working) if (lost.has(String(job.lease))) this.#lose(job, "It was released or cancelled.");
        this.#obey(reply);
      } catch (error) {
        if (!this.#ends(error)) this.#log("warn", `The heartbeat of the process did not arrive. ${String(error)}`);
      }
    }
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
    if (error instanceof Unauthorized) {
      this.#end({ code: EXIT_REFUSED, why: `The server does not accept this bot's token: ${error.message}` });
      return true;
    }
    if (error instanceof InstanceReplaced && error.instance === this.#client.instance) {
      this.#end({ code: EXIT_REPLACED, why: "Another process of this bot and identity has taken over." });
      return true;
    }
    return false;
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
      await this.#within(this.#grace, () => this.#running.size + this.#reporter.jobs.size === 0 || this.#hurry.signal.aborted);
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

function until(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** The name of this host, or pod. It is sent in a header, so it must be ASCII. */
function hostName(): string {
  return hostname().replace(/[^\x21-\x7e]/g, "").slice(0, 100);
}

function newInstance(): string {
  return `${hostName().slice(0, 40)}-${process.pid}-${randomBytes(6).toString("hex")}`;
}

function toConsole(level: "info" | "warn" | "error", message: string): void {
  console[level](`${new Date().toISOString()} ${message}`);
}
