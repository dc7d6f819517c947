/** Jobsite's client: `Bot` runs handlers, `Client` has a typed method for each call of bots and producers. */
export { Bot } from "./bot.js";
export type { BotOptions, Handler } from "./bot.js";
export { Client } from "./client.js";
export { EXIT_REFUSED, EXIT_REPLACED, EXIT_RESTART, EXIT_STOPPED } from "./endings.js";
export { GiveUp, InstanceReplaced, JobsiteError, LeaseLost, Unauthorized, Unavailable } from "./errors.js";
export type { Problem } from "./errors.js";
export type { Job } from "./job.js";
export type * from "./messages.js";
export type { Log } from "./names.js";
export type { ClientOptions } from "./transport.js";
