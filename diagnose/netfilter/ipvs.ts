/**
 * IPVS: the virtual services of `/proc/net/ip_vs`, to which of their servers a packet goes.
 *
 * @module
 */
import { type Address, formatAddress, parseAddress, sameAddress } from "../packet/address.ts";
import {
  inverse,
  type Packet,
  PROTOCOLS,
  sameTuple,
  TCP_FLAGS,
  tupleOf,
} from "../packet/packet.ts";
import type { RealServer, RuleReference } from "./outcome.ts";
import {
  type BaseChain,
  type Branch,
  MISS,
  type Moment,
  perhaps,
  type Rule,
  type Step,
  unknowable,
} from "./rules.ts";
import { unknown } from "./truth.ts";

/** One of a service's servers. */
interface Server {
  readonly address: Address;
  readonly port: number;
  readonly mode: RealServer["mode"];
  readonly weight: number;
}

/** A virtual service: by address and port, or by the packet's mark. */
interface Service {
  readonly protocol: number | undefined;
  readonly address: Address | undefined;
  readonly port: number;
  readonly mark: number | undefined;
  readonly scheduler: string;
  readonly persistent: boolean;
  readonly text: string;
  readonly servers: Server[];
}

/** Schedulers that look at nothing but weights, so that chances are known. */
const WEIGHTED = ["rr", "wrr"];
/** Schedulers that may choose one of weight 0, which refuses. */
const HASHED = ["sh", "dh"];
/** What IPVS looks at (`ip_vs_proto_data_get`). */
const SERVED: readonly number[] = [PROTOCOLS.tcp, PROTOCOLS.udp, PROTOCOLS.sctp];

/** The services of a namespace. */
export class Ipvs {
  readonly #services: Service[] = [];
  readonly #damage: string[] = [];

  /** `conntrack` is whether connections are kept in it, too: the setting `vs/conntrack`. */
  constructor(text: string, readonly conntrack: boolean) {
    for (const line of text.split("\n")) {
      if (/^\s*(IP Virtual Server|Prot |-> RemoteAddress|$)/.test(line)) continue;
      const server = serverOf(line);
      const service = serviceOf(line);
      if (service !== undefined) this.#services.push(service);
      else if (server !== undefined) this.#services.at(-1)?.servers.push(server);
      else this.#damage.push(line.slice(0, 80));
    }
  }

  /** Whether there is nothing to ask. */
  get empty(): boolean {
    return this.#services.length + this.#damage.length === 0;
  }

  /** IPVS as a chain with a rule for each service. */
  base(priority: number, type: "filter" | "route"): BaseChain {
    const numbered = this.#services.map((service, at) => ({ service, number: at + 1 }));
    const rules = numbered
      .sort((one, other) => precedence(one.service) - precedence(other.service))
      .map(({ service, number }): Rule => ({
        reference: referenceTo(service.text, number),
        step: (moment) =>
          wants(service, moment.packet) ? scheduled(service, moment, this.conntrack) : MISS,
      }));
    rules.unshift({
      reference: referenceTo("a connection that IPVS knows", 0),
      step: (moment) => following(moment, this.conntrack),
    });
    const [line] = this.#damage;
    if (line !== undefined) {
      const because = `the list of virtual services is damaged at "${line}"`;
      rules.unshift({
        reference: referenceTo(line, 0),
        step: ({ packet }) => perhaps(unknown(because), unknowable(packet, because)),
      });
    }
    return {
      chain: { name: "services", candidates: () => (position) => rules[position] },
      chains: () => undefined,
      ...{ priority, type, policy: "accept", age: 0 },
      policyReference: referenceTo("", 0),
    };
  }
}

function referenceTo(text: string, number: number): RuleReference {
  return { engine: "ipvs", family: "ip", table: "ip_vs", chain: "services", number, text };
}

/** `0A60000A:0050`, or `[fd00:…]:0050`. */
function endOf(text: string): { address: Address; port: number } | undefined {
  const [, four, six, port] = /^(?:([0-9A-F]{8})|\[([0-9a-fA-F:.]+)\]):([0-9A-F]{4})$/.exec(text) ??
    [];
  const address = four === undefined
    ? parseAddress(six ?? "")
    : { family: 4 as const, bits: BigInt(`0x${four}`) };
  return address === undefined || port === undefined
    ? undefined
    : { address, port: Number.parseInt(port, 16) };
}

function serviceOf(line: string): Service | undefined {
  const [kind = "", end = "", scheduler = "", ...flags] = line.trim().split(/\s+/);
  const rest = {
    scheduler,
    persistent: flags.includes("persistent"),
    text: line.trim(),
    servers: [],
  };
  if (kind === "FWM") {
    const mark = /^[0-9A-F]{8}$/i.test(end) ? Number.parseInt(end, 16) : undefined;
    return mark === undefined
      ? undefined
      : { protocol: undefined, address: undefined, port: 0, mark, ...rest };
  }
  const protocol = { TCP: PROTOCOLS.tcp, UDP: PROTOCOLS.udp, SCTP: PROTOCOLS.sctp }[kind];
  const found = endOf(end);
  if (protocol === undefined || found === undefined) return undefined;
  return { protocol, ...found, mark: undefined, ...rest };
}

const MODES: Readonly<Record<string, RealServer["mode"]>> = {
  Masq: "masq",
  Route: "route",
  Tunnel: "tunnel",
  Local: "local",
};

function serverOf(line: string): Server | undefined {
  const [arrow, end = "", mode = "", weight = ""] = line.trim().split(/\s+/);
  const found = endOf(end);
  const known = MODES[mode];
  if (arrow !== "->" || found === undefined || known === undefined || !/^\d+$/.test(weight)) {
    return undefined;
  }
  return { ...found, mode: known, weight: Number(weight) };
}

/** Services by mark are looked for first, those for any port last. */
function precedence({ mark, port }: Service): number {
  if (mark !== undefined) return 0;
  return port === 0 ? 2 : 1;
}

function wants(service: Service, packet: Packet): boolean {
  if (packet.scheduled || !SERVED.includes(packet.protocol)) return false;
  if (service.mark !== undefined) {
    // The list does not say of which family it is.
    const [server] = service.servers;
    return packet.mark === service.mark &&
      (server === undefined || server.address.family === packet.destination.family);
  }
  return packet.protocol === service.protocol && service.address !== undefined &&
    sameAddress(packet.destination, service.address) &&
    (service.port === 0 || service.port === packet.destinationPort);
}

/**
 * Only packets that open a connection are scheduled; the others follow it, or IPVS leaves them
 * alone.
 */
function scheduled(service: Service, moment: Moment, conntrack: boolean): Step {
  const { packet } = moment;
  const opens = packet.tcpFlags === undefined ||
    (packet.tcpFlags & (TCP_FLAGS.syn | TCP_FLAGS.ack | TCP_FLAGS.rst)) === TCP_FLAGS.syn;
  if (!opens) return MISS;
  const servers = service.servers.filter(({ weight }) => weight > 0);
  const none: Step = {
    ...{ kind: "end", verdict: "reject", packet },
    because: servers.length === 0
      ? "the virtual service has no server with a weight above 0"
      : "the server that the client's hash leads to has the weight 0",
  };
  if (servers.length === 0) return none;
  const total = servers.reduce((sum, { weight }) => sum + weight, 0);
  const even = WEIGHTED.includes(service.scheduler) && !service.persistent;
  const branches: Branch[] = servers.map((server) => {
    const chance = service.scheduler === "rr" ? 1 / servers.length : server.weight / total;
    return { ...(even ? { chance } : {}), step: sent(server, moment, conntrack, true) };
  });
  const hashed = HASHED.includes(service.scheduler) && servers.length < service.servers.length;
  if (hashed) branches.push({ step: none });
  const [first, ...more] = branches;
  if (first !== undefined && more.length === 0) return first.step;
  return { kind: "fork", doubt: { kind: "chance" }, branches };
}

/** To a server: a connection's first packet, or one that follows it. */
function sent(
  { address, port, mode }: Pick<Server, "address" | "port" | "mode">,
  { packet, around, hook }: Moment,
  conntrack: boolean,
  first: boolean,
): Step {
  const to = port === 0 ? packet.destinationPort ?? 0 : port;
  const server: RealServer = { mode, address, port: to };
  if (mode === "local") return { kind: "end", verdict: "accept", packet };
  const served = first ? { served: { original: tupleOf(packet), server } } : {};
  if (mode !== "masq") return { kind: "end", verdict: "stolen", packet, server, ...served };
  const local = around.addressType(address) === "local";
  if (!local && hook === "output" && isLoopback(packet.source)) {
    const because = `IPVS sends nothing from ${formatAddress(packet.source)} to another host`;
    return { kind: "end", verdict: "drop", packet, because };
  }
  const changed = translatedTo(packet, address, to, conntrack);
  if (local) return { kind: "end", verdict: "accept", packet: changed, ...served };
  return { kind: "end", verdict: "stolen", packet: changed, server, ...served };
}

function isLoopback({ family, bits }: Address): boolean {
  return family === 4 ? bits >> 24n === 127n : bits === 1n;
}

/**
 * IPVS tells conntrack from where the answer will come (`ip_vs_update_conntrack`), or, as it does
 * unless told otherwise, leaves the packet without a connection (`ip_vs_notrack`).
 */
function translatedTo(packet: Packet, address: Address, port: number, conntrack: boolean): Packet {
  const { connection } = packet;
  const changed: Packet = {
    ...packet,
    ...{ destination: address, destinationPort: port },
    scheduled: true,
  };
  if (!conntrack) return { ...changed, connection: { ...connection, state: "untracked" } };
  if (connection.state === "untracked" || connection.state === "invalid") return changed;
  const reply = { ...connection.reply, source: address, sourcePort: port };
  return {
    ...changed,
    connection: {
      ...connection,
      ...{ reply, original: tupleOf(connection.original) },
      scheduled: true,
    },
  };
}

/** Of a connection that IPVS knows, the packet for its server. */
function following(moment: Moment, conntrack: boolean): Step {
  const { packet, around } = moment;
  if (packet.scheduled) return MISS;
  const known = around.served?.find(({ original }) => sameTuple(original, packet));
  return known === undefined ? MISS : sent(known.server, moment, conntrack, false);
}

/** A server's answer as the client expects it; undefined where the packet is none. */
export function answered({ packet, around }: Moment, conntrack: boolean): Packet | undefined {
  if (packet.scheduled) return undefined;
  const known = around.served?.find(({ original, server: { mode, address, port } }) =>
    mode === "masq" &&
    sameTuple(packet, { ...inverse(original), source: address, sourcePort: port })
  );
  if (known === undefined) return undefined;
  const { destination, destinationPort } = known.original;
  const { connection } = packet;
  return {
    ...packet,
    source: destination,
    scheduled: true,
    ...(destinationPort === undefined ? {} : { sourcePort: destinationPort }),
    connection: conntrack ? connection : { ...connection, state: "untracked" },
  };
}
