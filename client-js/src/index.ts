/** Jobsite's client for bots and producers. `Bot` runs handlers; `Client` has a typed method for each of their calls. */
export { Bot, EXIT_REFUSED, EXIT_REPLACED, EXIT_RESTART, EXIT_STOPPED } from "./bot.js";
export type { BotOptions, Handler, Log } from "./bot.js";
export { Client } from "./client.js";
export { GiveUp, InstanceReplaced, JobsiteError, LeaseLost, Unauthorized, Unavailable } from "./errors.js";
export type { Problem } from "./errors.js";
export type { Job } from "./job.js";
export type * from "./messages.js";
export type { ClientOptions } from "./transport.js";
