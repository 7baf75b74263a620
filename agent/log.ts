/**
 * The agent's own log: one line an entry on standard error, for a person or for journald.
 *
 * @module
 */

import { isWritable } from "./namespaces/libc.ts";

const STANDARD_ERROR = 2;
/** A pipe that is writable takes so many bytes without waiting: PIPE_BUF, pipe(7). */
const ATOMIC_BYTES = 4_096;

const LEVELS = { debug: 7, info: 6, warn: 4, error: 3 } as const;

/**
 * How much is logged; the number is syslog's severity, which journald reads from the `<N>` in
 * front.
 */
export type Level = keyof typeof LEVELS;

let threshold: Level = "info";
let lost = 0;

/**
 * Whether standard error goes to journald (systemd.exec(5), `JOURNAL_STREAM`), which adds its own
 * time.
 */
const journal = Deno.env.get("JOURNAL_STREAM") !== undefined;

/** Sets the least severe level that is still written. */
export function setLevel(level: Level): void {
  threshold = level;
}

type LogFields = Readonly<Record<string, string | number | boolean>>;

function write(level: Level, message: string, fields: LogFields = {}): void {
  if (LEVELS[level] > LEVELS[threshold]) return;
  const words = Object.entries(fields).map(([name, value]) =>
    `${name}=${typeof value === "string" ? JSON.stringify(value) : value}`
  );
  const text = [printable(message), ...words].join(" ");
  const line = journal
    ? `<${LEVELS[level]}>${text}\n`
    : `${new Date().toISOString()} ${level.padEnd(5)} ${text}\n`;
  try {
    if (!writeWhole(new TextEncoder().encode(line))) lost++;
  } catch (error) {
    // Whoever reads it is gone (EPIPE), or the disk is full: that must not end the agent, nor keep
    // it from taking its probes out of the kernel.
    if (!(error instanceof Error)) throw error;
    lost++;
  }
}

/** False when whoever reads it has stopped, which must not stop the agent. */
function writeWhole(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length;) {
    if (!isWritable(STANDARD_ERROR)) return false;
    at += Deno.stderr.writeSync(bytes.subarray(at, at + ATOMIC_BYTES));
  }
  return true;
}

/** Entries that could not be written. */
export function entriesLost(): number {
  return lost;
}

/** Replaces control characters: a process name may hold terminal escapes. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what this is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "?");
}

/** Writes one entry at each level. */
export const log = {
  debug: (message: string, fields?: LogFields) => write("debug", message, fields),
  info: (message: string, fields?: LogFields) => write("info", message, fields),
  warn: (message: string, fields?: LogFields) => write("warn", message, fields),
  error: (message: string, fields?: LogFields) => write("error", message, fields),
} as const;
