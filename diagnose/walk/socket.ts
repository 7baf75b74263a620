/**
 * Which socket of a namespace a packet is for.
 *
 * Sources: the kernel's `inet_lookup_listener`, `udp4_lib_lookup2`.
 *
 * @module
 */
import { type Address, formatAddress, parseAddress, sameAddress } from "../packet/address.ts";
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import type { Listener } from "../snapshot/parts.ts";
import type { Namespace } from "./namespace.ts";
import type { Cause } from "./trail.ts";

/** The socket, or why there is none. */
export type Heard =
  | { readonly heard: true; readonly listener: Listener; readonly text: string }
  | { readonly heard: false; readonly cause: Cause; readonly unknown?: boolean };

/** Finds the socket that a TCP or UDP packet that came by a device is for. */
export function listenerFor(namespace: Namespace, device: string, packet: Packet): Heard {
  const missing = namespace.lacks("listeners");
  const protocol = packet.protocol === PROTOCOLS.tcp ? "tcp" : "udp";
  const port = packet.destinationPort ?? 0;
  if (missing !== undefined) {
    const cause: Cause = {
      id: "part-missing",
      namespace,
      what: `whether anything listens on ${protocol} port ${port} is not known: ${missing}`,
      evidence: [{ kind: "snapshot", text: missing }],
    };
    return { heard: false, cause, unknown: true };
  }
  const same = (namespace.snapshot.listeners ?? [])
    .filter((each) => each.protocol === protocol && each.port === port);
  const vrf = namespace.vrf(namespace.device(device))?.device;
  // Of what comes by a VRF, sockets of none hear only where that is set (`inet_bound_dev_eq`).
  const open = vrf === undefined || namespace.setting(`net/ipv4/${protocol}_l3mdev_accept`) > 0;
  const scores = same.filter((each) => open || each.device !== undefined)
    .map((each) => ({ each, score: scoreOf(each, packet, device, vrf) }));
  const best = scores.filter(({ score }) => score > 0).sort((a, b) => b.score - a.score)[0];
  if (best === undefined) {
    return { heard: false, cause: nobody(namespace, packet, protocol, same) };
  }
  const { each } = best;
  if (protocol === "tcp" && each.queued > each.queueMax) {
    return { heard: false, cause: full(namespace, each) };
  }
  return { heard: true, listener: each, text: textOf(each) };
}

/** How well a socket fits; 0 if it does not. */
function scoreOf(
  { address, device: bound, v6only }: Listener,
  { destination }: Packet,
  device: string,
  vrf: string | undefined,
): number {
  if (bound !== undefined && bound !== device && bound !== vrf) return 0;
  const device1 = bound === undefined ? 0 : 4;
  if (address === "*") return v6only === true && destination.family === 4 ? 0 : 1 + device1;
  const own = plain(parseAddress(address));
  if (own === undefined) return 0;
  if (own.bits === 0n) {
    if (own.family === destination.family) return 2 + device1;
    return own.family === 6 && v6only === false ? 1 + device1 : 0;
  }
  return sameAddress(own, destination) ? 8 + device1 : 0;
}

/** IPv4 in IPv6's clothes is what an IPv6 socket bound to an IPv4 address shows. */
function plain(address: Address | undefined): Address | undefined {
  if (address?.family !== 6 || address.bits >> 32n !== 0xffffn) return address;
  return { family: 4, bits: address.bits & 0xffffffffn };
}

function textOf({ protocol, address, port, device }: Listener): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${protocol} ${host}${device === undefined ? "" : `%${device}`}:${port}`;
}

function nobody(
  namespace: Namespace,
  { destination, destinationPort = 0 }: Packet,
  protocol: "tcp" | "udp",
  same: readonly Listener[],
): Cause {
  const to = formatAddress(destination);
  const answer = protocol === "tcp" ? "a reset" : "ICMP port unreachable";
  const elsewhere = same.length === 0
    ? ""
    : `; on that port is only ${same.map(textOf).join(", ")}`;
  return {
    id: "no-listener",
    namespace,
    what: `nothing listens on ${protocol} port ${destinationPort} for ${to}` +
      `${elsewhere}, so ${answer} goes back`,
    evidence: same.length === 0
      ? [{ kind: "socket", text: `no ${protocol} socket on port ${destinationPort}` }]
      : same.map((each) => ({ kind: "socket", text: textOf(each) })),
    confirm: namespace.command(
      `ss -Hln${protocol === "tcp" ? "t" : "u"} sport = :${destinationPort}`,
    ),
    fix: same.length === 0
      ? `start what is to listen on ${protocol} port ${destinationPort}`
      : `let it listen on ${to}, or on all addresses`,
  };
}

function full(namespace: Namespace, listener: Listener): Cause {
  return {
    id: "backlog-full",
    namespace,
    what: `the queue of ${textOf(listener)} is full, so new connections are dropped`,
    evidence: [{
      kind: "socket",
      text: `${listener.queued} wait to be accepted, and ${listener.queueMax} may`,
    }],
    confirm: namespace.command(`ss -Hlnt sport = :${listener.port}`),
    fix: "find out why the program does not accept, or give it a longer queue",
  };
}
