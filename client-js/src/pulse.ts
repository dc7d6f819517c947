/** Heartbeats: of each job, and of the process. */
import { jittered, sleep } from "./backoff.js";
import type { Client } from "./client.js";
import type { BotEvents } from "./endings.js";
import { JobsiteError, LeaseLost } from "./errors.js";
import type { HeldJob } from "./job.js";
import type { Slots } from "./messages.js";
import type { Log } from "./names.js";

/** Seconds between heartbeats of the process while it holds anything. While it does not, one of so many is sent. */
const WORKING_EVERY = 5;
const IDLE_TICKS = 6;
/** The bounds of the seconds between two heartbeats of a job, and their number without a usable deadline. */
const SOONEST = 1;
const LATEST = 30;
const ORDINARY = 10;
/** Seconds, at most, until a heartbeat that did not arrive is tried again. */
const AGAIN_AFTER = 3;

/** The process, as its heartbeats know it. */
export interface Process {
  readonly running: ReadonlySet<HeldJob>;
  slots(): Slots;
  /** Each slot is lost to a handler that does not stop. */
  lostAll(): void;
  /** Aborted when the bot begins to stop. */
  readonly until: AbortSignal;
}

export class Pulse {
  constructor(
    private readonly client: Client,
    private readonly log: Log,
    private readonly events: BotEvents,
    private readonly options: { readonly heartbeatEvery?: number; readonly version?: string },
  ) {}

  /** Renew a lease that lasts `leaseFor` seconds, until its handler has ended or it is lost. */
  async ofJob(job: HeldJob, leaseFor = this.#secondsTo(job.deadline_at)): Promise<void> {
    let every = this.#interval(leaseFor);
    for (;;) {
      await job.nextBeat(every);
      if (job.ended || job.lost) return;
      const news = job.takeNews();
      try {
        const renewal = await this.client.heartbeat(job.id, job.attempt, news);
        every = this.#interval(renewal.lease_for ?? this.#secondsTo(renewal.deadline_at));
        this.events.answered(renewal);
      } catch (error) {
        job.putBackNews(news);
        if (this.events.ends(error)) return;
        if (error instanceof LeaseLost || (error as JobsiteError).status === 404) this.#lose(job, String(error));
        every = Math.min(every, jittered(AGAIN_AFTER));
      }
    }
  }

  /** Ask every 5 s which leases are lost: so the bot learns of a cancel, a release or a restart while handlers work. */
  async ofProcess(process: Process): Promise<void> {
    for (let tick = 1; ; tick++) {
      await sleep(WORKING_EVERY, process.until);
      if (process.until.aborted) return;
      const slots = process.slots();
      if (slots.lost === slots.all) return process.lostAll();
      const working = [...process.running].filter((job) => !job.lost);
      if (working.length > 0 || tick % IDLE_TICKS === 0) await this.#ask(working, slots);
    }
  }

  async #ask(working: readonly HeldJob[], slots: Slots): Promise<void> {
    const { version } = this.options;
    const body = { holds: working.map((job) => job.lease), slots, ...(version === undefined ? {} : { version }) };
    try {
      const reply = await this.client.botHeartbeat(body);
      const lost = new Set(reply.lost.map(String));
      for (const job of working) if (lost.has(String(job.lease))) this.#lose(job, "It was released or cancelled.");
      this.events.answered(reply);
    } catch (error) {
      if (!this.events.ends(error)) this.log("warn", `The heartbeat of the process did not arrive. ${String(error)}`);
    }
  }

  #interval(left: number): number {
    return this.options.heartbeatEvery ?? (left > 0 ? Math.min(Math.max(left / 3, SOONEST), LATEST) : ORDINARY);
  }

  #secondsTo(moment: string): number {
    return Date.parse(moment) / 1000 - this.client.serverNow();
  }

  #lose(job: HeldJob, why: string): void {
    if (!job.ended && !job.lost) this.log("warn", `${job.toString()}: the lease was lost. ${why}`);
    job.stop(why);
  }
}
