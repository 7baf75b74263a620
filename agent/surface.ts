/**
 * What routes and commands may ask of the running agent.
 *
 * @module
 */
import type { NameSet } from "./config/config.ts";
import type { Event } from "./events/event.ts";
import type { Identity } from "./pods/identity.ts";

/** One probe's or collector's line in `/status`. */
export interface UnitStatus {
  readonly name: string;
  /**
   * The predecessor's words where it has one (`Running`, `Stopped`, `Failed`), ours beside them.
   */
  readonly state: "Running" | "Stopped" | "Failed" | "Degraded" | "Late" | "Absent";
  /** Why it is not simply running. */
  readonly because?: string;
  /** The hook set in use, and the sets passed over with what each lacks. */
  readonly hooks?: string;
  readonly passedOver?: readonly { readonly hooks: string; readonly because: string }[];
}

/** The answer of `/status`. */
export interface Status {
  readonly available_probes: {
    readonly event: readonly string[];
    readonly metrics: readonly string[];
  };
  readonly inuse_probes: {
    readonly event: readonly UnitStatus[];
    readonly metrics: readonly UnitStatus[];
  };
  readonly version: string;
  readonly node: string;
  readonly kernel: { readonly release: string; readonly btf: boolean };
  readonly started: string;
  readonly namespaces: number;
  readonly pods: number;
  readonly sources: readonly UnitStatus[];
  readonly sinks: readonly (UnitStatus & { readonly delivered: number; readonly lost: number })[];
  readonly store: UnitStatus & { readonly events: number; readonly bytes: number };
  readonly config: { readonly origin: string; readonly error?: string };
  /** Tools and mounts that are missing, each with what it disables and what to install or do. */
  readonly missing: readonly {
    readonly what: string;
    readonly disables: string;
    readonly remedy: string;
  }[];
}

/** One namespace or pod in `/pods`. */
export interface PodView extends Identity {
  readonly netns: number;
  /** Decimal: JSON numbers cannot hold 64 bits. */
  readonly netnsCookie: string;
  readonly addresses: readonly string[];
  readonly pids: readonly number[];
  readonly containerIds: readonly string[];
  readonly runtime?: string;
  /** Set for a namespace that is gone and kept for late events. */
  readonly goneAt?: string;
}

/** What to look for in the events that are kept. */
export interface EventFilter {
  /** RFC 3339, or milliseconds since the epoch. */
  readonly since?: number;
  readonly until?: number;
  readonly type?: readonly string[];
  readonly namespace?: string;
  readonly pod?: string;
  readonly node?: string;
  /** At most this many, the newest; 1 to 10,000, default 100. */
  readonly limit?: number;
  /** Only events after (`newest first` pages: before) this one. */
  readonly before?: string;
  readonly after?: string;
}

/**
 * Events in order, oldest first; `cursor` goes into `before` for the page of older ones, absent at
 * the end.
 */
export interface EventPage {
  readonly events: readonly Event[];
  readonly cursor?: string;
}

/** A watcher of new events. */
export interface Subscription {
  /**
   * Ends when the agent stops, or `close` is called. `lost` counts what this watcher was too slow
   * for.
   */
  readonly events: ReadableStream<{ readonly event?: Event; readonly lost?: number }>;
  close(): void;
}

/** The configuration as it runs. */
export interface ConfigView {
  /** The effective configuration, as YAML in our own schema, with every default. */
  readonly text: string;
  /** `defaults`, the file's path, or `PUT`. */
  readonly origin: string;
}

/** What a new configuration led to. */
export type ConfigResult =
  | { readonly ok: true; readonly changed: readonly string[]; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly errors: readonly string[] };

/** What routes and commands may ask of the running agent. */
export interface Agent {
  /**
   * Text for `/metrics`, which is the caller's own; `openMetrics` chooses the format. Parallel
   * callers share one collection.
   */
  exposition(
    names: readonly NameSet[] | undefined,
    openMetrics: boolean,
  ): Promise<Uint8Array<ArrayBuffer>>;
  status(): Status;
  /** Undefined once every unit has had its first try; else what is still waited for. */
  notReady(): string | undefined;
  pods(): readonly PodView[];
  events(filter: EventFilter): EventPage;
  subscribe(filter: EventFilter): Subscription;
  config(): ConfigView;
  configure(text: string): Promise<ConfigResult>;
}
