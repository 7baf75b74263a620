/**
 * What a probe is: plain data, and pure functions that word an event.
 *
 * A probe says which objects hold its kernel side, which maps hold its totals, and what its records
 * mean. It has no lifecycle: the agent loads, attaches, reads, adopts and removes every probe
 * alike.
 *
 * @module
 */
import type { Need } from "../bpf/need.ts";
import type { Metric } from "./metric.ts";
import type { RemoteLabel } from "./remote.ts";
import type { EventOf, Fields, Schema } from "./schema.ts";
import type { Attribute, Occurrence } from "./events/event.ts";

/**
 * One way to hook a probe's signal; the agent takes the first of a probe's list that this kernel
 * allows.
 */
export interface HookSet {
  /** `tcpreset_fentry` is built from `probes/tcpreset/tcpreset_fentry.bpf.c`. */
  readonly object: string;
  /** All of them; a set that lacks one is passed over, and `/status` says which. */
  readonly needs: readonly Need[];
  /**
   * What this set cannot see although it works; makes the probe `degraded`, with this as the
   * reason.
   */
  readonly misses?: string;
}

/**
 * A run-time parameter: a field of the probe's `struct NAME_parameters` in the one-entry map
 * `parameters`. Of a probe that listens on netlink, it may also be a text: words with commas
 * between, each of which is one of `words` or fits `pattern`.
 */
export interface Parameter {
  readonly summary: string;
  readonly default: ParameterValue;
  readonly min?: number;
  readonly max?: number;
  readonly unit?: "ns" | "ms" | "events/s" | "frames" | "bytes";
  readonly words?: readonly string[];
  readonly pattern?: RegExp;
}

/** What a parameter may be. */
export type ParameterValue = number | boolean | string;

/** What a probe listens to on a netlink socket, one in each network namespace. */
export interface NetlinkSource {
  /** `NETLINK_…` of linux/netlink.h. */
  readonly protocol: number;
  /**
   * A file that is there once the kernel has the subsystem; to open the socket before would load
   * it.
   */
  readonly there: string;
  /** Bytes of the header that precedes the attributes, such as `struct nfgenmsg`. */
  readonly headerBytes: number;
  /** The kinds of message, the one with more flags first. */
  readonly kinds: readonly NetlinkKind[];
  /**
   * Where each field of a record is: the types of nested attributes, outermost first. What is not
   * there is zero. A 4-byte address becomes `::ffff:a.b.c.d`, as in records of BPF. Fields that are
   * not listed are filled in by the agent: the time, the namespace, and `kind`.
   */
  readonly paths: Readonly<Record<string, readonly (readonly number[])[]>>;
}

/** One kind of message. */
export interface NetlinkKind {
  /** What the record's field `kind` then is. */
  readonly number: number;
  /** `nlmsg_type`, and flags that must be set. */
  readonly type: number;
  readonly flags: number;
  /** The multicast group that it comes by; bit `group - 1` of the socket's groups. */
  readonly group: number;
  /** The probe's parameter, a flag, that says whether it is wanted. */
  readonly wanted: string;
}

/** What the words of a record are made of; a probe needs no other file for them. */
export type { Attribute, EventOf, Need, Occurrence };

/** A map of totals, or of current values, kept by the BPF side and read at collection time. */
export interface Totals<K extends Fields = Fields, V extends Fields = Fields> {
  /** Name of the map in the object. Per-CPU values are added up. */
  readonly map: string;
  /**
   * Must have a field read by `netns` (a namespace's figure) or `tgid` (a process's figure), or
   * neither (the node's).
   */
  readonly key: Schema<K>;
  readonly value: Schema<V>;
  /**
   * The BPF iterator program to run before the map is read; it refills the map, whose entries are
   * removed before.
   */
  readonly iterator?: string;
  /**
   * The field of the key with the far end's address: the agent finds out whose it is, for the
   * labels `remote_kind`, `remote_namespace` and `remote_name`. The probe's parameters `names`,
   * `workloads`, `ipv4_prefix` and `ipv6_prefix` say how much they tell.
   */
  readonly remote?: keyof K & string;
  /**
   * Takes entries out of the map that have not been used for a while, so that it has room for
   * others; the sums keep what they had counted. `seen` is the field of the value with the time of
   * the last use, `after` the probe's parameter with the seconds from then on.
   */
  readonly expires?: { readonly seen: keyof V & string; readonly after: string };
  readonly metrics: Readonly<Record<string, TotalsMetric<K, V>>>;
}

/** A metric whose samples are one field of a map's values. */
export interface TotalsMetric<K extends Fields, V extends Fields> extends Omit<Metric, "labels"> {
  /** The field of the value that is the figure. */
  readonly of: keyof V & string;
  /**
   * Of a histogram: counts the observations above this bound, which is one of its buckets'. Such a
   * metric is a counter.
   */
  readonly above?: number;
  /** The fields of the key that are its labels, under the same names; and the far end's. */
  readonly labels?: readonly (keyof K & string | RemoteLabel)[];
  /**
   * Only the entries whose key has one of these words, per field; the others are not this metric's.
   */
  readonly when?: { readonly [N in keyof K]?: readonly string[] };
}

/** Declares a probe's totals. A function only so that names are checked and inferred. */
export function totals<const K extends Fields, const V extends Fields>(
  card: Totals<K, V>,
): Totals<K, V> {
  return card;
}

/** The records that a probe's ring carries. */
export interface Records<F extends Fields = Fields> {
  readonly record: Schema<F>;
  /** Every `type` that an event of this probe can have, as in the seeds' documents. */
  readonly types: readonly string[];
  /** What one record says, in the words of an event; reads nothing but its argument. */
  readonly occurrence: (record: EventOf<F>) => Occurrence;
}

/** Declares a probe's records. A function only so that names are checked and inferred. */
export function records<const F extends Fields>(card: Records<F>): Records<F> {
  return card;
}

/** What every probe's card has. */
interface Card {
  /**
   * Also the name of its folder, the stem of its objects, and the prefix of its C types and
   * metrics.
   */
  readonly name: string;
  /** Other names that the configuration may use for it. */
  readonly aliases?: readonly string[];
  /** One sentence on what an operator learns from it. */
  readonly summary: string;
  /** Which halves run without being asked for. */
  readonly byDefault: { readonly metrics: boolean; readonly events: boolean };
  /**
   * Fields of `struct NAME_parameters`; every object of the probe has the map `parameters`, if
   * there is any.
   */
  readonly parameters?: Readonly<Record<string, Parameter>>;
}

/** A probe that hooks the kernel by BPF. */
export interface HookedProbe extends Card {
  /** Ordered, the best first. */
  readonly hooks: readonly [HookSet, ...HookSet[]];
  /**
   * Words of a kernel enum to be resolved on the running kernel into a bitmap in the parameters: `{
   * normal: { enum: "skb_drop_reason", prefix: "SKB_DROP_REASON_", words: ["QUEUE_PURGE"] } }` sets
   * the field `normal`, an array of `__u64`.
   */
  readonly bitmaps?: Readonly<
    Record<
      string,
      { readonly enum: string; readonly prefix: string; readonly words: readonly string[] }
    >
  >;
  /**
   * Arrays that are tables of places, with a map of uses beside them (bpf/include/table.h): the
   * struct of one place, and its `__u64` that is 0 while the place is free.
   */
  readonly places?: Readonly<Record<string, { readonly struct: string; readonly owner: string }>>;
  // deno-lint-ignore no-explicit-any -- each entry is checked by totals() already
  readonly totals?: readonly Totals<any, any>[];
  // deno-lint-ignore no-explicit-any -- likewise by records()
  readonly records?: Records<any>;
  readonly netlink?: never;
}

/** Values of the parameters of a probe, all of them. */
export type Parameters = Readonly<Record<string, ParameterValue>>;

/**
 * A probe that listens to what the kernel multicasts over netlink. Its parameters
 * `events_per_second`, for each kind, and `buffer_bytes`, for each namespace, are bounds that the
 * agent keeps; `pods`, if it has that, lists whose events are wanted.
 */
export interface NetlinkProbe extends Card {
  readonly netlink: NetlinkSource;
  // deno-lint-ignore no-explicit-any -- checked by records()
  readonly records: Records<any>;
  /** Whether a record is wanted, by the probe's own parameters. */
  // deno-lint-ignore no-explicit-any -- the record is that of `records`
  readonly wanted: (record: any, parameters: Parameters) => boolean;
  readonly hooks?: never;
  readonly totals?: never;
  readonly bitmaps?: never;
}

/** A probe's card. */
export type Probe = HookedProbe | NetlinkProbe;

/** Declares a probe. */
export function defineProbe<const P extends Probe>(card: P): P {
  return card;
}

/** Nanoseconds as milliseconds, with microseconds: that is what the kernel's clock is good for. */
export function milliseconds(ns: number): number {
  return Math.round(ns / 1_000) / 1_000;
}

/** What a record says of a packet: its ends, if it had an IP header that told them. */
export interface PacketEnds {
  readonly has_header: number;
  readonly source: string;
  readonly destination: string;
  readonly source_port: number;
  readonly destination_port: number;
  readonly protocol: string;
}

/** A packet's ends and transport, as far as they are known. */
export function endsOf(
  packet: PacketEnds,
): Pick<Occurrence, "source" | "destination" | "transport"> {
  if (packet.has_header === 0) return {};
  return {
    source: { address: packet.source, port: packet.source_port },
    destination: { address: packet.destination, port: packet.destination_port },
    ...(packet.protocol === "unknown" ? {} : { transport: packet.protocol }),
  };
}
