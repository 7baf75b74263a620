/**
 * One probe that listens on netlink: a socket in each network namespace, read by the agent's clock.
 *
 * A host's socket could be told to hear all namespaces (`NETLINK_LISTEN_ALL_NSID`), but the kernel
 * keeps no events for a connection of a namespace in which no socket listens
 * (`nf_conntrack_events`, 2 by default since Linux 5.19), and only namespaces with a number in the
 * host's are heard.
 *
 * @module
 */
import { bootNow } from "../bpf/time.ts";
import type { UnitChoice } from "./config/config.ts";
import type { Endpoint, Occurrence } from "./events/event.ts";
import {
  close,
  ENOBUFS,
  errorName,
  openPoll,
  pollFor,
  readText,
  readyOf,
  receive,
  setMembership,
  setReceiveBuffer,
  socketDrops,
} from "./namespaces/libc.ts";
import { targetOf } from "./namespaces/reader.ts";
import type { NamespaceVisitor, VisitResult } from "./namespaces/visitor.ts";
import { type NetlinkRecord, NetlinkRecords } from "./netlink_record.ts";
import type { Outcome } from "./outcome.ts";
import type { Namespace } from "./pods/identity.ts";
import type { NetlinkProbe, Parameters } from "./probe.ts";
import type { KernelCounts, Owners, PassedOver } from "./running_probe.ts";
import type { Owner } from "./series.ts";

/** Namespaces listened in at a time; further ones are counted. */
export const SOCKETS_MAX = 1_024;
/** Messages read in one go, so that other work is not held up; the others wait in their sockets. */
const DRAIN_MESSAGES_MAX = 512;
/** Of these, from one socket before the next one has its turn. */
const SOCKET_MESSAGES_MAX = 64;
/** A namespace where it failed is tried again after this long. */
const RETRY_MILLISECONDS = 10_000;
/** In a millisecond, and in a second. */
const NANOSECONDS = 1e6;
const SECOND = 1e9;
/** Turns that it has for what its sockets hold when it is stopped. */
const LAST_TURNS_MAX = 64;
const OPEN_MILLISECONDS_MAX = 4_000;
/** No message of the probes' is as long. */
const MESSAGE_BYTES_MAX = 16 * 1024;

const datagram = new Uint8Array(new ArrayBuffer(MESSAGE_BYTES_MAX));

/** A namespace, and whose it is. */
export interface Listened {
  readonly namespace: Namespace;
  readonly owner: Owner;
}

/** The agent's way to enter a namespace. */
export type Visitor = Pick<NamespaceVisitor, "visit">;

interface Socket {
  readonly descriptor: number;
  readonly listened: Listened;
}

/** One netlink probe. */
export class RunningListener {
  readonly hooks = "netlink";
  readonly adopted = false;
  readonly passedOver: readonly PassedOver[] = [];
  readonly #card: NetlinkProbe;
  readonly #records: NetlinkRecords;
  readonly #limits = new Map<number, number>();
  readonly #sockets = new Map<string, Socket>();
  readonly #byDescriptor = new Map<number, Socket>();
  readonly #failed = new Map<string, { because: string; until: number }>();
  readonly #now: () => number;
  #poll = -1;
  #parameters: Parameters = {};
  #pods: readonly RegExp[] = [];
  #absent: string | undefined;
  #refused = 0;
  #following = false;
  #on = false;
  #produced = 0;
  #limited = 0;
  /** What sockets that are closed by now had lost. */
  #lost = 0;

  /** `now` is in milliseconds, of a clock that never goes back. */
  constructor(card: NetlinkProbe, choice: UnitChoice, now: () => number = () => performance.now()) {
    this.#card = card;
    this.#now = now;
    this.#records = new NetlinkRecords(card);
    this.configure(choice);
  }

  /** Whether it listens everywhere. */
  get outcome(): Outcome {
    if (!this.#on) return { state: "stopped" };
    if (this.#absent !== undefined) return { state: "absent", because: this.#absent };
    const [first] = this.#failed.values();
    if (first !== undefined) {
      const because = `Not heard are ${this.#failed.size} namespaces, the first: ${first.because}`;
      return { state: this.#sockets.size === 0 ? "failed" : "degraded", because };
    }
    return { state: "working" };
  }

  /** Namespaces beyond `SOCKETS_MAX` at the last look, added up over all looks. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes other parameters; sockets that are open join and leave groups. */
  configure(choice: UnitChoice): void {
    this.#on = choice.events;
    const before = this.#parameters;
    const groupsBefore = this.#groups();
    const defaults = Object.entries(this.#card.parameters ?? {})
      .map(([name, parameter]) => [name, parameter.default] as const);
    this.#parameters = { ...Object.fromEntries(defaults), ...choice.parameters };
    this.#pods = patternsOf(String(this.#parameters["pods"] ?? ""));
    const groups = this.#groups();
    const bytes = Number(this.#parameters["buffer_bytes"]);
    for (const { descriptor } of this.#sockets.values()) {
      if (bytes !== Number(before["buffer_bytes"])) setReceiveBuffer(descriptor, bytes);
      for (const { group } of this.#card.netlink.kinds) {
        const member = groups.includes(group);
        if (member !== groupsBefore.includes(group)) setMembership(descriptor, group, member);
      }
    }
  }

  #groups(): readonly number[] {
    return this.#card.netlink.kinds.filter(({ wanted }) => this.#parameters[wanted] === true)
      .map(({ group }) => group);
  }

  /** Opens sockets where there are none yet, and closes those of namespaces that are gone. */
  async follow(places: readonly Listened[], visitor: Visitor): Promise<void> {
    if (this.#following || !this.#on) return;
    this.#following = true;
    try {
      await this.#follow(places, visitor);
    } finally {
      this.#following = false;
    }
  }

  async #follow(places: readonly Listened[], visitor: Visitor): Promise<void> {
    const groups = this.#groups();
    const { protocol, there } = this.#card.netlink;
    this.#absent = typeof readText(there) === "string" ? undefined : `There is no "${there}"`;
    const wanted = groups.length === 0 || this.#absent !== undefined
      ? []
      : places.filter(({ owner }) => this.#isNear(owner));
    const keys = new Set(wanted.map(keyOf));
    for (const [key, socket] of this.#sockets) if (!keys.has(key)) this.#close(key, socket);
    for (const [key, { until }] of this.#failed) {
      if (!keys.has(key) || until <= this.#now()) this.#failed.delete(key);
    }
    const missing = wanted.filter((place) =>
      !this.#sockets.has(keyOf(place)) && !this.#failed.has(keyOf(place))
    );
    const room = Math.max(SOCKETS_MAX - this.#sockets.size, 0);
    this.#refused += Math.max(missing.length - room, 0);
    const due = missing.slice(0, room);
    if (due.length === 0) return;
    const bytes = Number(this.#parameters["buffer_bytes"]);
    const results = await visitor.visit(
      due.map(({ namespace }) => targetOf(namespace)),
      { files: [], interfaces: false, listening: { protocol, groups, bytes } },
      OPEN_MILLISECONDS_MAX,
    );
    for (const [index, place] of due.entries()) this.#opened(place, results[index]);
    // They may have been told of other groups meanwhile.
    if (this.#groups().join() !== groups.join()) this.#joinAnew(groups);
  }

  #joinAnew(before: readonly number[]): void {
    const groups = this.#groups();
    for (const { descriptor } of this.#sockets.values()) {
      for (const group of new Set([...before, ...groups])) {
        setMembership(descriptor, group, groups.includes(group));
      }
    }
  }

  #opened(listened: Listened, result: VisitResult | undefined): void {
    if (result === undefined || result.state === "gone") return;
    const key = keyOf(listened);
    const socket = result.state === "read" ? result.sight.socket ?? 0 : 0;
    if (result.state !== "read" || socket <= 0) {
      const because = result.state === "read" ? errorName(socket) : result.because;
      this.#failed.set(key, { because, until: this.#now() + RETRY_MILLISECONDS });
      return;
    }
    if (!this.#on) return close(socket);
    if (this.#poll < 0) this.#poll = openPoll();
    const added = this.#poll < 0 ? this.#poll : pollFor(this.#poll, socket);
    if (added < 0) {
      close(socket);
      this.#failed.set(key, {
        because: `Cannot wait for a socket: ${errorName(added)}`,
        until: this.#now() + RETRY_MILLISECONDS,
      });
      return;
    }
    const entry = { descriptor: socket, listened };
    this.#sockets.set(key, entry);
    this.#byDescriptor.set(socket, entry);
  }

  #close(key: string, { descriptor }: Socket): void {
    this.#lost += socketDrops(descriptor);
    this.#sockets.delete(key);
    this.#byDescriptor.delete(descriptor);
    close(descriptor);
  }

  /** With a list of pods: theirs and the host's, which may carry their connections, too. */
  #isNear({ namespace, pod }: Owner): boolean {
    return this.#pods.length === 0 || pod === "" || this.#isListed(`${namespace}/${pod}`);
  }

  #isListed(name: string): boolean {
    return this.#pods.some((pattern) => pattern.test(name));
  }

  /** Hands over what has come in, at most a bounded number of messages; how many there were. */
  drain(take: (occurrence: Occurrence) => void, owners: Pick<Owners, "ofAddress">): number {
    if (this.#sockets.size === 0) return 0;
    const at = bootNow();
    let count = 0;
    for (let before = -1; count > before && count < DRAIN_MESSAGES_MAX;) {
      before = count;
      for (const descriptor of readyOf(this.#poll)) {
        const socket = this.#byDescriptor.get(descriptor);
        if (socket !== undefined) count += this.#readSome(socket, at, owners, take);
        if (count >= DRAIN_MESSAGES_MAX) break;
      }
    }
    return count;
  }

  #readSome(
    { descriptor, listened }: Socket,
    at: bigint,
    owners: Pick<Owners, "ofAddress">,
    take: (occurrence: Occurrence) => void,
  ): number {
    const { inum, cookie } = listened.namespace;
    for (let count = 0; count < SOCKET_MESSAGES_MAX; count++) {
      const length = receive(descriptor, datagram);
      // The socket had no room for all: how many were lost is in its own count.
      if (length === -ENOBUFS) continue;
      if (length < 0) return count;
      this.#records.read(datagram, length, { inum, cookie }, at, (message) => {
        const occurrence = this.#occurrenceOf(message, listened, owners);
        if (occurrence !== undefined) take(occurrence);
      });
    }
    return SOCKET_MESSAGES_MAX;
  }

  #occurrenceOf(
    { kind, record }: NetlinkRecord,
    { owner, namespace }: Listened,
    owners: Pick<Owners, "ofAddress">,
  ): Occurrence | undefined {
    const parameters = this.#parameters;
    if (parameters[kind.wanted] !== true || !this.#card.wanted(record, parameters)) return;
    const occurrence = this.#card.records.occurrence(record);
    if (this.#pods.length > 0 && !this.#isListed(`${owner.namespace}/${owner.pod}`)) {
      const { source, destination, ends = {} } = occurrence;
      const all: readonly (Endpoint | undefined)[] = [source, destination, ...Object.values(ends)];
      const listed = all.some((end) => {
        const pod = end && owners.ofAddress(end.address, namespace)?.pod;
        return pod !== undefined && this.#isListed(`${pod.namespace}/${pod.name}`);
      });
      if (!listed) return;
    }
    this.#produced++;
    if (this.#mayPass(kind.number, Number(parameters["events_per_second"]))) return occurrence;
    this.#limited++;
    return;
  }

  /** A bucket of tokens for each kind that holds a second's worth, as take_token() in probe.h. */
  #mayPass(kind: number, perSecond: number): boolean {
    const now = this.#now() * NANOSECONDS;
    const interval = Math.floor(SECOND / perSecond);
    const used = Math.max(this.#limits.get(kind) ?? -Infinity, now - SECOND);
    if (used + interval > now) return false;
    this.#limits.set(kind, used + interval);
    return true;
  }

  /** What the sockets had no room for counts as what a full ring refuses. */
  kernelCounts(): KernelCounts {
    let ringFull = this.#lost;
    for (const { descriptor } of this.#sockets.values()) ringFull += socketDrops(descriptor);
    return { produced: this.#produced + ringFull, limited: this.#limited, ringFull };
  }

  /** Hands over what its sockets still have, and closes them. What was counted stays. */
  stop(take: (occurrence: Occurrence) => void, owners: Pick<Owners, "ofAddress">): void {
    for (let turn = 0; turn < LAST_TURNS_MAX && this.drain(take, owners) > 0; turn++);
    this.#on = false;
    this.#failed.clear();
    for (const [key, socket] of this.#sockets) this.#close(key, socket);
    if (this.#poll >= 0) close(this.#poll);
    this.#poll = -1;
  }
}

function keyOf({ namespace: { inum, cookie } }: Listened): string {
  return `${inum}/${cookie}`;
}

/** `shop/web-*` fits every pod of that namespace whose name begins so. */
function patternsOf(list: string): readonly RegExp[] {
  return list.split(",").map((word) => word.trim()).filter((word) => word !== "").map((word) => {
    const parts = word.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`);
  });
}
