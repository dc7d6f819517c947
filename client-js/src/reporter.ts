/** Reports how jobs ended, each until it is answered. */
import { Backoff, sleep } from "./backoff.js";
import type { Client } from "./client.js";
import type { BotEvents } from "./endings.js";
import { GiveUp, JobsiteError, LeaseLost, Unavailable } from "./errors.js";
import type { HeldJob } from "./job.js";
import type { Orders } from "./messages.js";
import type { Log } from "./names.js";

/** Seconds to repeat a report through an outage. After that the lease has certainly expired. */
const REPORT_FOR = 900;
/** Seconds to try to hand one job back. */
const HAND_BACK_FOR = 3;
/** After so many faults of the server the report itself may be what makes it fail. */
const MOST_FAULTS = 4;
/** Characters of an error: a little under what the server takes. */
const ERROR_LIMIT = 60_000;

export class Reporter {
  /** The jobs whose end is not reported yet. */
  readonly jobs = new Set<HeldJob>();

  constructor(
    private readonly client: Client,
    private readonly log: Log,
    private readonly events: BotEvents,
  ) {}

  /** Report success, or a failure where the server refuses the result. */
  async complete(job: HeldJob, result: unknown): Promise<void> {
    const tries = { retryFor: 0, signal: this.events.over };
    try {
      JSON.stringify(result);
    } catch (error) {
      return this.fail(job, new GiveUp(`The handler's result cannot be sent as JSON: ${String(error)}`));
    }
    const refused = await this.#report(job, () => this.client.complete(job.id, job.attempt, result, tries));
    if (refused)
      await this.#failed(job, `The server refused the result: ${refused.message}`, (refused.status ?? 0) >= 500);
  }

  /** Report what a handler has thrown. */
  async fail(job: HeldJob, error: unknown): Promise<void> {
    const text = error instanceof Error ? (error.stack ?? String(error)) : String(error);
    await this.#failed(job, error instanceof GiveUp ? error.message : text, !(error instanceof GiveUp));
  }

  /** Hand a job back unfinished. */
  async handBack(job: HeldJob): Promise<void> {
    try {
      await this.client.release(job.id, job.attempt, { retryFor: HAND_BACK_FOR, signal: this.events.over });
      this.log("info", `${job.toString()}: handed back.`);
    } catch (error) {
      this.log("warn", `${job.toString()}: not handed back. ${String(error)}`);
    }
  }

  async #failed(job: HeldJob, error: string, retry: boolean): Promise<void> {
    const text = (error || "The handler gave up without a reason.").replaceAll("\0", "\ufffd").slice(0, ERROR_LIMIT);
    const tries = { retryFor: 0, signal: this.events.over };
    this.log("warn", `${job.toString()}: failed${retry ? "" : " for good"}: ${text.split("\n")[0] ?? ""}`);
    const refused = await this.#report(job, () => this.client.fail(job.id, job.attempt, text, retry, tries));
    if (refused) this.log("error", `${job.toString()}: the server refused the report: ${refused.message}`);
  }

  /** Send a report until it is answered. Returns the error if the server refuses it. */
  async #report(job: HeldJob, send: () => Promise<Orders>): Promise<JobsiteError | undefined> {
    const giveUpAt = performance.now() + REPORT_FOR * 1000;
    const backoff = new Backoff(0.5, 15);
    this.jobs.add(job);
    try {
      for (let faults = 0; ; ) {
        try {
          this.events.answered(await send());
          this.log("info", `${job.toString()}: reported.`);
          return undefined;
        } catch (error) {
          if (error instanceof LeaseLost) {
            this.log("warn", `${job.toString()}: the report came late. ${error.message}`);
            return undefined;
          }
          if (this.events.ends(error) || this.events.over.aborted) return undefined;
          const fault = (error as JobsiteError).status === 500 && ++faults >= MOST_FAULTS;
          const again = error instanceof Unavailable || (((error as JobsiteError).status ?? 0) >= 500 && !fault);
          if (!again) return error as JobsiteError;
          if (performance.now() > giveUpAt) return error as JobsiteError;
          await sleep(backoff.next(error instanceof Unavailable ? error.retryAfter : 0), this.events.over);
        }
      }
    } finally {
      this.jobs.delete(job);
    }
  }
}
