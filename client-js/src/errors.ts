/** All exceptions. */

/** An error document of the server (RFC 9457), as it came. */
export interface Problem {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly errors?: readonly { field: string; message: string }[];
  readonly [field: string]: unknown;
}

/** The server refused a call, or did not answer it. `status` is undefined when there was no answer. */
export class JobsiteError extends Error {
  override readonly name: string = "JobsiteError";
  readonly status: number | undefined;
  readonly code: string;
  readonly problem: Problem;

  constructor(message: string, status?: number, code = "", problem: Problem = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.problem = problem;
  }
}

/**
 * No usable answer, for as long as was tried. `maybeDone`: the call may have been carried out all the same, since only
 * its answer is missing. `retryAfter` is the wait that the server asked for, in seconds.
 */
export class Unavailable extends JobsiteError {
  override readonly name = "Unavailable";

  constructor(
    message: string,
    readonly maybeDone: boolean,
    readonly retryAfter?: number,
    status?: number,
    code = "unavailable",
  ) {
    super(message, status, code);
  }
}

/** The token is wrong, or it was revoked (401). */
export class Unauthorized extends JobsiteError {
  override readonly name = "Unauthorized";
}

/** A newer process of the same bot and identity has taken over (409). `instance` is the one that made the call. */
export class InstanceReplaced extends JobsiteError {
  override readonly name = "InstanceReplaced";

  constructor(
    message: string,
    problem: Problem,
    readonly instance: string | undefined,
  ) {
    super(message, 409, "instance_replaced", problem);
  }
}

/** The job is no longer this bot's: it was released, expired or cancelled (409). */
export class LeaseLost extends JobsiteError {
  override readonly name = "LeaseLost";

  /** Whether an operator cancelled the job, so that nobody wants its result. */
  get cancel(): boolean {
    return this.problem["cancel"] === true;
  }

  get endedBy(): string | null {
    return (this.problem["ended_by"] as string | null | undefined) ?? null;
  }

  get reason(): string {
    return String(this.problem["reason"] ?? "");
  }
}

/** Thrown by a handler: this job can never succeed, so it fails at once, without further attempts. */
export class GiveUp extends Error {
  override readonly name = "GiveUp";
}

/** The exception for an answer with a 4xx or 5xx status. */
export function refusal(status: number, body: unknown, instance: string | undefined): JobsiteError {
  const problem: Problem = typeof body === "object" && body !== null ? (body as Problem) : {};
  const code = problem.code ?? "";
  const message = problem.detail ?? problem.title ?? `The server answered ${status}.`;
  if (status === 401) return new Unauthorized(message, status, code, problem);
  if (status === 409 && code === "lease_lost") return new LeaseLost(message, status, code, problem);
  if (status === 409 && code === "instance_replaced") return new InstanceReplaced(message, problem, instance);
  return new JobsiteError(message, status, code, problem);
}
