/**
 * IPVS: the virtual services of `/proc/net/ip_vs`, to which of their servers a packet goes.
 *
 * @module
 */
import { type Address, parseAddress, sameAddress } from "../packet/address.ts";
import { type Packet, PROTOCOLS, tupleOf } from "../packet/packet.ts";
import { trackedOf, translated } from "./nat.ts";
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

/** The services of a namespace. */
export class Ipvs {
  readonly #services: Service[] = [];
  readonly #damage: string[] = [];

  constructor(text: string) {
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
  base(priority: number): BaseChain {
    const numbered = this.#services.map((service, at) => ({ service, number: at + 1 }));
    const rules = numbered
      .sort((one, other) => precedence(one.service) - precedence(other.service))
      .map(({ service, number }): Rule => ({
        reference: referenceTo(service.text, number),
        step: (moment) => wants(service, moment.packet) ? scheduled(service, moment) : MISS,
      }));
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
      ...{ priority, type: "filter", policy: "accept", age: 0 },
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
  if (service.mark !== undefined) return packet.mark === service.mark;
  return packet.protocol === service.protocol && service.address !== undefined &&
    sameAddress(packet.destination, service.address) &&
    (service.port === 0 || service.port === packet.destinationPort);
}

/** Only packets that open a connection are scheduled; the others follow it. */
function scheduled(service: Service, moment: Moment): Step {
  const { packet, tracked } = moment;
  const connection = trackedOf(packet, tracked);
  if (connection?.direction === "reply") return MISS;
  const known = connection !== undefined && translated(connection, "destination")
    ? service.servers.find(({ address }) => sameAddress(address, connection.reply.source))
    : undefined;
  if (known !== undefined && connection?.state === "established") return sent(known, packet);
  const servers = service.servers.filter(({ weight }) => weight > 0);
  if (servers.length === 0) {
    const because = "the virtual service has no server with a weight above 0";
    return { kind: "end", verdict: "reject", packet, because };
  }
  const total = servers.reduce((sum, { weight }) => sum + weight, 0);
  const even = WEIGHTED.includes(service.scheduler) && !service.persistent;
  const branches: Branch[] = servers.map((server) => {
    const chance = service.scheduler === "rr" ? 1 / servers.length : server.weight / total;
    return { ...(even ? { chance } : {}), step: sent(server, packet) };
  });
  const [first, ...more] = branches;
  if (first !== undefined && more.length === 0) return first.step;
  return { kind: "fork", doubt: { kind: "chance" }, branches };
}

function sent({ address, port, mode }: Server, packet: Packet): Step {
  const to = port === 0 ? packet.destinationPort ?? 0 : port;
  const server: RealServer = { mode, address, port: to };
  const changed = mode === "masq" ? translatedTo(packet, address, to) : packet;
  if (mode === "local") return { kind: "end", verdict: "accept", packet };
  return { kind: "end", verdict: "stolen", packet: changed, server };
}

/** IPVS tells conntrack from where the answer will come (`ip_vs_update_conntrack`). */
function translatedTo(packet: Packet, address: Address, port: number): Packet {
  const { connection } = packet;
  const reply = { ...connection.reply, source: address, sourcePort: port };
  return {
    ...packet,
    destination: address,
    destinationPort: port,
    connection: { ...connection, reply, original: tupleOf(connection.original) },
  };
}
