/** HTTP: one call, tried again where that is safe. */
import { Backoff, sleep } from "./backoff.js";
import { JobsiteError, Unavailable, refusal, type Problem } from "./errors.js";

export interface ClientOptions {
  /** Seconds for one try (10), on top of what a long poll waits. */
  readonly timeout?: number;
  /** Seconds for all tries of one call together (60); 0: one try. */
  readonly retryFor?: number;
}

export interface Ask {
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** False: try again only if the server certainly did not carry it out. */
  readonly repeatable?: boolean;
  readonly timeout?: number | undefined;
  readonly retryFor?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Reply {
  readonly body: unknown;
  readonly retryAfter: number | undefined;
}

/** The server did nothing with the call, unless its code is `outcome_unknown`. */
const NOT_DONE = [408, 429, 503];
/** From a gateway: the server behind it may have carried out the call. */
const MAYBE_DONE = [502, 504];
/** The call never left this machine. */
const NOT_SENT = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"];

export class Transport {
  /** The name of this process, from `hello`. It is sent with every call. */
  instance: string | undefined;
  readonly timeout: number;
  readonly #base: string;
  readonly #token: string;
  readonly #retryFor: number;
  #ahead = 0;

  constructor(url: string, token: string, options: ClientOptions = {}) {
    const base = new URL(
      url
        .trim()
        .replace(/\/+$/, "")
        .replace(/\/api\/v1$/, ""),
    );
    if (!["http:", "https:"].includes(base.protocol)) throw new TypeError(`Not the address of a server: ${url}`);
    if (!/^[\x21-\x7e]+$/.test(token.trim()))
      throw new TypeError("The token is empty or has characters that none has.");
    this.#base = `${base.href.replace(/\/+$/, "")}/api/v1/`;
    this.#token = token.trim();
    this.timeout = options.timeout ?? 10;
    this.#retryFor = options.retryFor ?? 60;
  }

  /** The time by the server's clock, in seconds, estimated from its answers. */
  serverNow(): number {
    return Date.now() / 1000 + this.#ahead;
  }

  /** Make one call; `path` is relative to `/api/v1/`. */
  async ask(method: string, path: string, options: Ask = {}): Promise<Reply> {
    const giveUpAt = performance.now() / 1000 + (options.retryFor ?? this.#retryFor);
    const backoff = new Backoff(0.1, 10);
    for (;;) {
      try {
        return await this.#try(method, path, options);
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        if ((error.maybeDone && options.repeatable === false) || options.signal?.aborted) throw error;
        const delay = backoff.next(error.retryAfter);
        if (performance.now() / 1000 + delay > giveUpAt) throw error;
        await sleep(delay, options.signal);
      }
    }
  }

  async #try(method: string, path: string, options: Ask): Promise<Reply> {
    const instance = this.instance;
    const headers: Record<string, string> = { Authorization: `Bearer ${this.#token}`, Accept: "application/json" };
    if (instance !== undefined) headers["Bot-Instance"] = instance;
    const request: RequestInit = { method, headers, redirect: "manual" };
    if (options.body !== undefined) {
      headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(options.body);
    }
    const late = AbortSignal.timeout((options.timeout ?? this.timeout) * 1000);
    request.signal = options.signal ? AbortSignal.any([late, options.signal]) : late;
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#base + path + queryOf(options.query), request);
      text = await response.text();
    } catch (error) {
      const { code, message } = causeOf(error);
      if (NOT_SENT.includes(code)) throw new Unavailable(`The server could not be reached: ${message}.`, false);
      throw new Unavailable(`The server's answer did not arrive: ${message}.`, true);
    }
    this.#noteClock(response);
    return { body: read(response, text, instance), retryAfter: retryAfter(response) };
  }

  #noteClock(response: Response): void {
    const server = Date.parse(response.headers.get("Date") ?? "");
    if (Number.isNaN(server)) return;
    const ahead = (server - Date.now()) / 1000 + 0.5;
    // The header counts whole seconds: a smaller difference is no difference.
    this.#ahead = Math.abs(ahead) > 2 ? ahead : 0;
  }
}

function read(response: Response, text: string, instance: string | undefined): unknown {
  const body = parsed(text);
  const status = response.status;
  if (NOT_DONE.includes(status) || MAYBE_DONE.includes(status)) {
    const { code = "unavailable", detail = "" } = (body ?? {}) as Problem;
    const maybeDone = MAYBE_DONE.includes(status) || code === "outcome_unknown";
    throw new Unavailable(
      `The server is not available (${status}). ${detail}`,
      maybeDone,
      retryAfter(response),
      status,
      code,
    );
  }
  if (status >= 300 && status < 400) {
    throw new JobsiteError(
      `The server redirects to ${response.headers.get("Location")}: use that address.`,
      status,
      "redirect",
    );
  }
  if (status >= 400) throw refusal(status, body, instance);
  if (body === undefined) throw new JobsiteError("The answer is not JSON; is this a Jobsite server?", status);
  return body;
}

function parsed(text: string): unknown {
  try {
    return text ? (JSON.parse(text) as unknown) : {};
  } catch {
    return undefined;
  }
}

function queryOf(query: Ask["query"]): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) given.set(name, String(value));
  return given.size ? `?${given.toString()}` : "";
}

/** `Retry-After` in seconds, in either of its two forms. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get("Retry-After") ?? "";
  if (/^\d{1,9}$/.test(value)) return Number(value);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max((at - Date.now()) / 1000, 0);
}

function causeOf(error: unknown): { code: string; message: string } {
  const outer = error as Error & { cause?: Error & { code?: string; errors?: { code?: string }[] } };
  const cause = outer.cause ?? (outer as Error & { code?: string; errors?: { code?: string }[] });
  const code = cause.code ?? cause.errors?.[0]?.code ?? "";
  return { code: String(code), message: cause.message || String(code) || outer.message };
}
