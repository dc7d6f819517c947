/** The job that a handler is given. */
import type { ClaimedJob, Lease } from "./messages.js";

/** `id` and `attempt` name the lease. */
export interface Job extends ClaimedJob {
  /** Aborted when the lease was lost, an operator cancelled the job, or the process is about to stop. */
  readonly signal: AbortSignal;
  /** Report progress, 0 to 100 per cent. It goes out with a heartbeat, within about a second. */
  progress(percent: number, note?: string): void;
}

export interface Progress {
  progress: number;
  note?: string;
}

const NOTE_LIMIT = 500;
/** New progress is sent this soon, ahead of the next heartbeat. */
const PROGRESS_AFTER = 1;

/** A job that this process holds, with what the bot knows of it. */
export class HeldJob implements Job {
  readonly id: number;
  readonly kind: string;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly payload: unknown;
  readonly priority: number;
  readonly key: string | null;
  readonly run_at: string;
  readonly deadline_at: string;
  /** The server has reported the end of the lease, or it was handed back. */
  lost = false;
  /** The handler has ended. */
  ended = false;
  /** When the handler was asked to stop, by `performance.now()`. */
  stoppedAt: number | undefined;
  readonly #stop = new AbortController();
  #news: Progress | undefined;
  #beatAt = performance.now();
  #wake: () => void = () => undefined;

  constructor(claimed: ClaimedJob) {
    this.id = claimed.id;
    this.kind = claimed.kind;
    this.attempt = claimed.attempt;
    this.max_attempts = claimed.max_attempts;
    this.payload = claimed.payload;
    this.priority = claimed.priority;
    this.key = claimed.key;
    this.run_at = claimed.run_at;
    this.deadline_at = claimed.deadline_at;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get lease(): Lease {
    return [this.id, this.attempt];
  }

  toString(): string {
    return `Job ${this.id} (${this.kind}), attempt ${this.attempt}`;
  }

  progress(percent: number, note?: string): void {
    const rounded = Math.trunc(Math.min(Math.max(percent, 0), 100));
    this.#news = {
      progress: rounded,
      ...(note === undefined ? {} : { note: note.replaceAll("\0", "").slice(0, NOTE_LIMIT) }),
    };
    this.#wake();
  }

  /** Ask the handler to stop, because the lease has ended. */
  stop(why: string): void {
    this.lost = true;
    if (this.stoppedAt === undefined) {
      this.stoppedAt = performance.now();
      this.#stop.abort(new Error(why));
    }
    this.#wake();
  }

  /** The handler has ended: no more heartbeats. */
  end(): void {
    this.ended = true;
    this.#wake();
  }

  /** Wait until the next heartbeat is due: after so many seconds, or sooner with news. */
  async nextBeat(seconds: number): Promise<void> {
    for (;;) {
      const after = this.#news ? Math.min(seconds, PROGRESS_AFTER) : seconds;
      const left = this.#beatAt + after * 1000 - performance.now();
      if (left <= 0 || this.ended || this.lost) break;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#beatAt = performance.now();
  }

  /** The progress that was not sent yet. */
  takeNews(): Progress | undefined {
    const news = this.#news;
    this.#news = undefined;
    return news;
  }

  /** The heartbeat that carried it did not arrive: send it with the next one, unless there is newer progress. */
  putBackNews(news: Progress | undefined): void {
    this.#news ??= news;
  }
}
