/**
 * nftables' `ct`: what rules ask of a packet's connection.
 *
 * @module
 */
import type { Connection } from "../packet/packet.ts";
import { seenOf, trackedOf, translated } from "./nat.ts";
import type { Key } from "./nft_meta.ts";
import { symbolOf, type ValueType } from "./nft_symbols.ts";
import { BREAK, one, type Seen, unsure } from "./nft_value.ts";
import type { Moment } from "./rules.ts";

/** What a key of `ct` is; `dir` says whose end, where there are two. */
export function connectionKey(
  name: string,
  dir: "original" | "reply",
  directed: boolean,
): Key | undefined {
  if (name === "state") return { type: "state", see: state };
  const [type, ask] = (directed ? directedKey(name, dir) : undefined) ?? KEYS[name] ?? [];
  if (type === undefined || ask === undefined) return undefined;
  return { type, see: (moment) => askedOf(moment, ask) };
}

function askedOf({ packet, tracked, around }: Moment, ask: Ask): Seen {
  if (around.ofFrame) return OF_FRAME;
  if (!tracked && packet.connection.template !== undefined) {
    return unsure("what a connection that is only to be has is not known");
  }
  const connection = trackedOf(packet, tracked);
  return connection === undefined ? BREAK : ask(connection);
}

/** A bridge follows connections by a module of its own (`nf_conntrack_bridge.c`). */
const OF_FRAME = unsure("what a bridge knows of connections is not known");

function state({ packet, tracked, around }: Moment): Seen {
  if (around.ofFrame) return OF_FRAME;
  const known = seenOf(packet, tracked);
  const name = known?.state ?? (packet.connection.state === "untracked" ? "untracked" : "invalid");
  return one(symbolOf("state", name));
}

type Ask = (connection: Connection) => Seen;

const NOT_KNOWN: readonly [ValueType, Ask] = [
  "number",
  () => unsure("what the connection has had so far is not known"),
];

const KEYS: Readonly<Record<string, readonly [ValueType, Ask]>> = {
  direction: ["direction", ({ direction }) => one(direction === "original" ? 0 : 1)],
  // All of it: there are bits of the kernel's own, such as of NAT that has been decided.
  status: ["status", () => unsure("all of the connection's status is not known")],
  mark: ["number", ({ mark }) => one(mark)],
  zone: ["number", ({ zone }) => one(zone)],
  l3proto: ["family", ({ original }) => one(original.source.family === 4 ? 2 : 10)],
  protocol: ["protocol", ({ original }) => one(original.protocol)],
  helper: NOT_KNOWN,
  label: NOT_KNOWN,
  expiration: NOT_KNOWN,
  bytes: NOT_KNOWN,
  packets: NOT_KNOWN,
  avgpkt: NOT_KNOWN,
  id: NOT_KNOWN,
};

/** Bits of `enum ip_conntrack_status` that are known, of one that goes on but for the third. */
const STATUS_KNOWN = 0x3fn;
const ASSURED = 4n;

/** Whether one of some bits of `ct status` is set. */
export function statusHas(bits: bigint): (moment: Moment) => Seen {
  return (moment) =>
    askedOf(moment, (connection) => {
      if ((BigInt(statusOf(connection)) & bits) !== 0n) return one(true);
      const open = connection.state === "established" ? ASSURED : 0n;
      return (bits & (~STATUS_KNOWN | open)) === 0n
        ? one(false)
        : unsure("how far the connection got is not known");
    });
}

function statusOf(connection: Connection): number {
  const seen = (connection.state === "established" ? 2 | 8 : 0) | (connection.confirmed ? 8 : 0);
  return (connection.state === "related" ? 1 : 0) | seen |
    (translated(connection, "source") ? 16 : 0) |
    (translated(connection, "destination") ? 32 : 0);
}

function directedKey(
  name: string,
  dir: "original" | "reply",
): readonly [ValueType, Ask] | undefined {
  switch (name) {
    case "saddr":
    case "ip saddr":
    case "ip6 saddr":
      return ["number", (connection) => address(name, connection, dir, "source")];
    case "daddr":
    case "ip daddr":
    case "ip6 daddr":
      return ["number", (connection) => address(name, connection, dir, "destination")];
    case "proto-src":
      return ["number", (connection) => port(connection[dir].sourcePort)];
    case "proto-dst":
      return ["number", (connection) => port(connection[dir].destinationPort)];
    case "l3proto":
    case "protocol":
    case "zone":
      return KEYS[name];
    default:
      return undefined;
  }
}

function port(number: number | undefined): Seen {
  return number === undefined ? unsure("the sender's port is not known") : one(number);
}

function address(
  name: string,
  connection: Connection,
  dir: "original" | "reply",
  end: "source" | "destination",
): Seen {
  const { family, bits } = connection[dir][end];
  if (name.startsWith("ip ") && family !== 4 || name.startsWith("ip6 ") && family !== 6) {
    return BREAK;
  }
  return one(bits);
}
