/**
 * What the main thread and the Worker that enters namespaces say to each other.
 *
 * @module
 */
import type { Interface } from "./netlink.ts";

/** Where in `progress` it is said that the Worker is done, or that it is to stop. */
export const PROGRESS_STATE = 1;
export const DONE = 1;
export const STOP = 2;

/** Where in `progress` the sockets begin. */
export const PROGRESS_SOCKETS = 2;

/** A namespace to enter. */
export interface Target {
  readonly inum: number;
  /** What it must turn out to be; 0 if not known yet. */
  readonly cookie: bigint;
  /** Where it may be opened; the first that leads to the right namespace is taken. */
  readonly paths: readonly string[];
}

/** A netlink socket to open in a namespace. */
export interface Listening {
  readonly protocol: number;
  readonly groups: readonly number[];
  readonly bytes: number;
}

/**
 * One slice of work. The Worker keeps the first number of `progress` at the index of the target
 * that it is in, and makes the second `DONE` when it is; if the main thread has made it `STOP`, it
 * enters no other. From the third on is, for each target, the descriptor of the socket opened
 * there, or the failure: it is the process's, so nobody may lose it with a Worker that does not
 * answer.
 */
export interface Order {
  readonly id: number;
  readonly targets: readonly Target[];
  /** Paths below `/proc/PID`, such as `net/snmp`. */
  readonly files: readonly string[];
  readonly interfaces: boolean;
  readonly listening?: Listening;
  readonly progress: SharedArrayBuffer;
}

/** What came of one target. */
export type Visit =
  | {
    readonly state: "read";
    readonly inum: number;
    readonly cookie: bigint;
    /**
     * Bytes of each file, one after the other in the answer's `bytes`; below 0, the errno turned
     * around.
     */
    readonly sizes: readonly number[];
    readonly interfaces?: readonly Interface[];
  }
  /** It is not there any more, or its number is another namespace's by now. */
  | { readonly state: "gone"; readonly inum: number }
  /** It is there and could not be read. */
  | { readonly state: "failed"; readonly inum: number; readonly because: string };

/**
 * The Worker's answer to an order; `lost` once it could not return to its own namespace, and ends.
 */
export interface Answer {
  readonly id: number;
  readonly visits: readonly Visit[];
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lost?: string;
}
