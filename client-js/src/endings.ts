/** Why a bot's process ends, and its exit code. */
import { InstanceReplaced, Unauthorized } from "./errors.js";
import type { Orders } from "./messages.js";

/** Stopped in order, by a signal or by `stop()`. */
export const EXIT_STOPPED = 0;
/** An operator asked for a restart, or no slot is left: start the process again. */
export const EXIT_RESTART = 75;
/** A newer process of the same bot and identity took over: do not start this one again. */
export const EXIT_REPLACED = 76;
/** The server refuses this bot: a wrong token, or a wrong address. */
export const EXIT_REFUSED = 77;

export interface Ending {
  readonly code: number;
  readonly why: string;
}

export const RESTART: Ending = { code: EXIT_RESTART, why: "An operator asked this bot to restart." };
export const NO_SLOT_LEFT: Ending = {
  code: EXIT_RESTART,
  why: "No slot is left: each handler was asked to stop and is still running.",
};

/** What the parts of a bot report to it. */
export interface BotEvents {
  /** An answer came, with what operators want. */
  answered(orders: Orders): void;
  /** Whether this error ends the whole bot. */
  ends(error: unknown): boolean;
  /** Aborted when nothing may be sent any more. */
  readonly over: AbortSignal;
}

/** The ending that an error means for this instance; undefined: continue. */
export function endingFor(error: unknown, instance: string | undefined): Ending | undefined {
  if (error instanceof Unauthorized) {
    return { code: EXIT_REFUSED, why: `The server does not accept this bot's token: ${error.message}` };
  }
  if (error instanceof InstanceReplaced && error.instance === instance) {
    return { code: EXIT_REPLACED, why: "Another process of this bot and identity has taken over." };
  }
  return undefined;
}
