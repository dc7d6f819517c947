/** The names of a process, and its log. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

export type Log = (level: "info" | "warn" | "error", message: string) => void;

/** The name of this host, or pod. It is sent in a header, so it must be ASCII. */
export function hostName(): string {
  return hostname()
    .replace(/[^\x21-\x7e]/g, "")
    .slice(0, 100);
}

/** Generate a unique instance ID for this process. */
export function newInstance(): string {
  return `${hostName().slice(0, 40)}-${process.pid}-${randomBytes(6).toString("hex")}`;
}

export function toConsole(level: "info" | "warn" | "error", message: string): void {
  console[level](`${new Date().toISOString()} ${message}`);
}
