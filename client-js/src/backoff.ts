/** How long to wait before trying again, in seconds. */
export class Backoff {
  #step: number;

  constructor(
    private readonly first: number,
    private readonly longest: number,
  ) {
    this.#step = first;
  }

  /** The delay to wait now, with jitter, and never less than `atLeast`; the next one is longer. */
  next(atLeast = 0): number {
    const step = this.#step;
    this.#step = Math.min(step * 2, this.longest);
    return Math.max(jittered(step), spread(atLeast));
  }

  /** Start again from the first delay. */
  reset(): void {
    this.#step = this.first;
  }
}

/** A random time between half of `seconds` and all of it. */
export function jittered(seconds: number): number {
  return seconds * (0.5 + 0.5 * Math.random());
}

/** A random time from `seconds` to a quarter more: what the server asks for is never cut short. */
export function spread(seconds: number): number {
  return seconds * (1 + 0.25 * Math.random());
}

/** Wait for so many seconds, or until the signal. */
export function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    signal?.addEventListener("abort", done);
  });
}
