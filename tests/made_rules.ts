/**
 * Makes namespaces of nothing but rules, and packets that meet them.
 *
 * @module
 */
import type { Hook, Outcome, Surroundings } from "../diagnose/netfilter/netfilter.ts";
import { Netfilter } from "../diagnose/netfilter/netfilter.ts";
import { type Address, formatAddress, parseAddress } from "../diagnose/packet/address.ts";
import { firstPacket, type Packet, PROTOCOLS } from "../diagnose/packet/packet.ts";
import type { NamespaceSnapshot } from "../diagnose/snapshot/format.ts";

/** A namespace with these parts. */
export function namespaceWith(parts: Partial<NamespaceSnapshot>): NamespaceSnapshot {
  return {
    netns: 1,
    netnsCookie: "0",
    host: true,
    owner: { kind: "host", namespace: "", name: "" },
    pids: [],
    containerIds: [],
    netnsIds: {},
    missing: [],
    ...parts,
  };
}

/** Tables as `iptables-save -c` writes them: base chains without a line accept. */
export function saved(tables: Readonly<Record<string, string>>): string {
  return Object.entries(tables).map(([table, text]) => {
    const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    const named = lines.filter((line) => line.startsWith(":"));
    const all = [...named, ...lines.filter((line) => !line.startsWith(":"))];
    const known = new Set(named.map((line) => line.slice(1).split(" ")[0]));
    const built = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
      .filter((chain) => !known.has(chain)).map((chain) => `:${chain} ACCEPT [0:0]`);
    return [`*${table}`, ...built, ...all, "COMMIT", ""].join("\n");
  }).join("");
}

/** An address. */
export function ip(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`Cannot make a packet: "${text}" is no address`);
  return address;
}

/** The first packet from one to the other. */
export function packetOf(
  source: string,
  destination: string,
  port: number,
  more: Partial<Packet> = {},
): Packet {
  return firstPacket({
    source: ip(source),
    destination: ip(destination),
    protocol: PROTOCOLS.tcp,
    sourcePort: 40_000,
    destinationPort: port,
    ...more,
  });
}

/** A router between eth0 and eth1, whose own addresses end in .1. */
export const AROUND: Surroundings = {
  inDevice: "eth0",
  outDevice: "eth1",
  seconds: Date.parse("2026-11-21T07:30:00Z") / 1_000,
  device: (name) => ({ index: name === "eth0" ? 2 : 3, group: 0, type: 1, kind: "veth" }),
  addressType: (address) => {
    const text = formatAddress(address);
    if (/(\.1|::1)$/.test(text)) return "local";
    if (/\.255$/.test(text)) return "broadcast";
    return /^(22[4-9]|23\d|ff)/.test(text) ? "multicast" : "unicast";
  },
  reversePath: () => "pass",
  addressOf: (device, family) => {
    const four = device === "eth0" ? "10.0.0.1" : "10.0.1.1";
    return ip(family === 4 ? four : device === "eth0" ? "fd00::1" : "fd01::1");
  },
};

/** The ends of a packet, as `10.0.0.2:40000 > 10.0.1.2:80`. */
export function endsOf({ source, destination, sourcePort, destinationPort }: Packet): string {
  return `${formatAddress(source)}:${sourcePort} > ${
    formatAddress(destination)
  }:${destinationPort}`;
}

/** What iptables' rules do to a packet. */
export function iptables(
  tables: Readonly<Record<string, string>>,
  hook: Hook,
  packet: Packet,
  around: Partial<Surroundings> | { readonly inDevice: undefined } = {},
  parts: Partial<NamespaceSnapshot> = {},
): readonly Outcome[] {
  const text = saved(tables);
  const own = packet.source.family === 4 ? { iptablesLegacy: text } : { ip6tablesLegacy: text };
  const { inDevice, ...rest } = { ...AROUND, ...around };
  return new Netfilter(namespaceWith({ ...own, ...parts })).run(hook, packet, {
    ...rest,
    ...(inDevice === undefined ? {} : { inDevice }),
  });
}

/** The one outcome that there must be. */
export function only(outcomes: readonly Outcome[]): Outcome {
  const [outcome, ...more] = outcomes;
  if (outcome === undefined || more.length > 0) {
    throw new Error(`Cannot take the only outcome: there are ${outcomes.length}`);
  }
  return outcome;
}
