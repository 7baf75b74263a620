/**
 * What a collector is: files to read, and a pure parser that turns their text into samples.
 *
 * The agent reads the files, on the node, in each network namespace, or for each process of each
 * pod, so a collector cannot hang, leak or need a privilege.
 *
 * @module
 */
import type { Occurrence } from "./events/event.ts";
import type { Metrics, Sample } from "./metric.ts";

export {
  type LabelledMetric,
  type LabelledSample,
  Mib,
  type MibMetric,
  readLines,
  readTables,
} from "./mib.ts";
export { count, integer, linesOf, nonsense, quoted } from "./procfs.ts";

/**
 * Where the text comes from. `files` are paths below `/proc/PID` (`netns`, `process`) or `/proc`
 * (`node`); the first must be there, or the collector is absent; any other that is missing reads as
 * the empty string.
 *
 * - `node`: read once, in the host's namespaces; its samples carry no pod.
 * - `netns`: read once in each network namespace, the host's included.
 * - `process`: read for each process of each pod; the agent adds up what one pod's processes give,
 *   and a sum of counters never goes down because a process has ended.
 */
export interface Source<F extends string = string> {
  readonly per: "node" | "netns" | "process";
  readonly files: readonly [F, ...F[]];
}

/** Texts that netlink answers with. */
export type NetlinkTable = "netlink/qdiscs" | "netlink/conntrack" | "netlink/ipvs";

/** Texts about RDMA devices. */
export type RdmaTable = "rdma/counters" | "rdma/resources";

/** What a parser may know besides the text. */
export interface Reading {
  /** The text is the host's own, where figures of the whole node are true. */
  readonly host: boolean;
  /**
   * The namespace's devices that stand for its traffic with the outside world: on the host the
   * physical ones (so that a veth, a bridge and the card below them are not added up), elsewhere
   * undefined, which means all but `lo`.
   */
  readonly uplinks?: ReadonlySet<string>;
}

/** What has changed in a namespace from one reading of its files to the next, as an event. */
export type Change = Pick<Occurrence, "type" | "severity" | "attributes" | "message">;

/** How the difference of two readings becomes events. */
export interface Watch<F extends string = string> {
  /** Changes of every type, severity and message that there can be, for the documents. */
  readonly examples: readonly Change[];
  /** Throws a SyntaxError for a text that makes no sense, as `parse` does. */
  readonly changes: (
    before: Readonly<Record<F, string>>,
    after: Readonly<Record<F, string>>,
  ) => readonly Change[];
}

/** Metrics read from `/proc` at collection time. */
export interface Collector<M extends Metrics = Metrics, F extends string = string> {
  /**
   * Also the name of its folder, of its key in the configuration, and the prefix of its metrics.
   */
  readonly name: string;
  /** Other names that the configuration may use for it. */
  readonly aliases?: readonly string[];
  /** One sentence on what an operator learns from it. */
  readonly summary: string;
  /** Runs without being asked for. */
  readonly byDefault: boolean;
  readonly source: Source<F>;
  readonly metrics: M;
  /** Throws a SyntaxError, naming file and line, for a text that makes no sense. */
  readonly parse: (
    files: Readonly<Record<F, string>>,
    reading: Reading,
  ) => Iterable<Sample<M>>;
  /**
   * Events; the files, which must be a namespace's, are then read every few seconds, whether
   * anybody asks for metrics or not.
   */
  readonly watch?: Watch<F>;
}

/** Declares a collector. A function only so that metric, label and file names are checked. */
export function defineCollector<const M extends Metrics, const F extends string>(
  collector: Collector<M, F>,
): Collector<M, F> {
  return collector;
}

/** Files below `/proc`, read once on the node. */
export function nodeFiles<const F extends string>(...files: [F, ...F[]]): Source<F> {
  return { per: "node", files };
}

/** What the agent tells of the node's RDMA devices, as texts that agent/rdma.ts describes. */
export function rdmaTables<const F extends RdmaTable>(...files: [F, ...F[]]): Source<F> {
  return { per: "node", files };
}

/** Files below `/proc/PID`, such as `net/snmp`, read once in each network namespace. */
export function netnsFiles<const F extends string>(...files: [F, ...F[]]): Source<F> {
  return { per: "netns", files };
}

/**
 * What netlink tells of each network namespace, as texts that agent/namespaces/netlink_tables.ts
 * describes: `netlink/qdiscs`, `netlink/conntrack`, `netlink/ipvs`.
 */
export function netnsTables<const F extends NetlinkTable>(...files: [F, ...F[]]): Source<F> {
  return { per: "netns", files };
}

/** Files below `/proc/PID`, such as `io`, read for each process of each pod. */
export function processFiles<const F extends string>(...files: [F, ...F[]]): Source<F> {
  return { per: "process", files };
}
