/** What is sent and answered. Durations are in seconds, moments are text in ISO 8601. */

/** Any JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** A lease: the job and the attempt under which it is held. */
export type Lease = readonly [job: number, attempt: number];

/** Room for jobs in a process. A slot is lost when its handler was asked to stop and does not end. */
export interface Slots {
  readonly all: number;
  readonly free: number;
  readonly lost: number;
}

/** What operators want of the process. */
export interface Orders {
  readonly paused: boolean;
  readonly restart: boolean;
}

/** A job as the server hands it out. `attempt` is an opaque number. */
export interface ClaimedJob {
  readonly id: number;
  readonly kind: string;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly payload: unknown;
  readonly priority: number;
  readonly key: string | null;
  readonly run_at: string;
  readonly deadline_at: string;
  /** Seconds to `deadline_at`. Older servers leave it out. */
  readonly lease_for?: number;
}

export interface HelloOptions {
  readonly identity?: string;
  readonly alone?: boolean;
  readonly host?: string;
  readonly pid?: number;
  readonly version?: string;
  readonly kinds?: readonly string[];
  readonly holds?: readonly Lease[];
  readonly slots?: Slots;
}

export interface Hello extends Orders {
  readonly bot_id: number;
  readonly name: string;
  readonly instance: string;
  readonly kinds: readonly string[];
  readonly capacity: number | null;
  readonly released: readonly number[];
  readonly warnings: readonly string[];
}

export interface Goodbye extends Orders {
  readonly instance: string;
  readonly released: readonly number[];
}

export interface BotHeartbeat extends Orders {
  readonly lost: readonly Lease[];
  readonly cancel: readonly Lease[];
}

export interface ClaimOptions {
  readonly limit?: number;
  readonly kinds?: readonly string[];
  /** Seconds of a long poll, at most 30. */
  readonly wait?: number;
  readonly start?: boolean;
}

/** `retryAfter`: for so many seconds there is no room for a long poll, or a rate or throttle shuts all these kinds. */
export interface Claim extends Orders {
  readonly jobs: readonly ClaimedJob[];
  readonly retryAfter: number | undefined;
}

export interface Renewal extends Orders {
  readonly job_id: number;
  readonly attempt: number;
  readonly status: string;
  readonly cancel: boolean;
  readonly deadline_at: string;
  readonly lease_for?: number;
}

export interface Reported extends Orders {
  readonly job_id: number;
  readonly attempt: number;
  readonly status: string;
}

export interface Completed {
  readonly id: number;
  readonly attempt: number;
  readonly result?: unknown;
}

export interface Failed {
  readonly id: number;
  readonly attempt: number;
  readonly error: string;
  readonly retry?: boolean;
  /** Seconds until the next attempt, in place of the backoff. */
  readonly retry_in?: number;
}

/** A job that is handed back; with `run_in`, the seconds until it is due again, it is deferred. */
export interface Released {
  readonly id: number;
  readonly attempt: number;
  readonly run_in?: number;
  readonly reason?: string;
}

export interface Heartbeat {
  readonly id: number;
  readonly attempt: number;
  readonly progress?: number;
  readonly note?: string;
}

export interface ExchangeOptions {
  readonly completed?: readonly Completed[];
  readonly failed?: readonly Failed[];
  readonly released?: readonly Released[];
  readonly heartbeats?: readonly Heartbeat[];
  readonly claim?: ClaimOptions;
  readonly slots?: Slots;
}

export interface Rejected {
  readonly id: number;
  readonly attempt: number;
  readonly code: "lease_lost" | "not_found" | "too_many_deferrals";
  readonly detail: string;
  readonly ended_by: string | null;
  readonly ended_at: string | null;
  readonly reason: string | null;
  readonly verb: string | null;
  readonly cancel: boolean;
}

export interface Exchange extends Claim {
  readonly accepted: readonly number[];
  readonly rejected: readonly Rejected[];
  readonly cancel: readonly number[];
}

/** What few jobs have, as in the body of `POST /jobs`. Durations are in seconds. */
export interface JobTerms {
  readonly group?: string;
  readonly unique?: "always" | "unfinished" | "pending";
  readonly on_conflict?: "keep" | "replace";
  readonly delay?: number;
  readonly start_by?: string;
  readonly run_within?: number;
  readonly heartbeat_within?: number;
  readonly backoff?: number;
}

export interface EnqueueOptions extends JobTerms {
  readonly priority?: number;
  /** Not before this moment. */
  readonly runAt?: Date;
  /** One job for each kind and key: to enqueue it again returns the job that is there. */
  readonly key?: string;
  readonly maxAttempts?: number;
}

/** A job as in the body of `POST /jobs`. */
export interface NewJob extends JobTerms {
  readonly kind: string;
  readonly payload?: unknown;
  readonly priority?: number;
  readonly run_at?: string;
  readonly key?: string;
  readonly max_attempts?: number;
}

export interface Enqueued {
  readonly created: number;
  readonly existing: number;
  readonly replaced: number;
  readonly ids: readonly number[];
  /** What became of each: `created`, `existing` or `replaced`. */
  readonly outcomes: readonly string[];
}

export interface Throttled {
  readonly kind: string;
  readonly group: string | null;
  readonly shut_until: string | null;
}

export type Status = "pending" | "claimed" | "processing" | "succeeded" | "failed" | "cancelled";

/** A job as the server knows it. There are more fields than these. */
export interface JobRecord {
  readonly id: number;
  readonly kind: string;
  readonly status: Status;
  readonly payload: unknown;
  readonly result: unknown;
  readonly error: string;
  readonly priority: number;
  readonly key: string | null;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly progress: number | null;
  readonly [field: string]: unknown;
}

export interface JobPage {
  readonly jobs: readonly JobRecord[];
  readonly next_cursor: string | null;
}
