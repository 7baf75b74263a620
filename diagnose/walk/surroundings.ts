/**
 * What netfilter asks of a namespace, answered by the walk.
 *
 * @module
 */
import type { Surroundings } from "../netfilter/netfilter.ts";
import type { Address } from "../packet/address.ts";
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import { inputFlow } from "./input_route.ts";
import { addressType, lookup } from "./lookup.ts";
import type { Namespace } from "./namespace.ts";
import { listenerFor } from "./socket.ts";
import { addressOf } from "./source.ts";

/** Devices that the packet comes by and leaves by, and a bridge's ports. */
export interface Between {
  readonly in?: string;
  readonly out?: string;
  readonly portIn?: string;
  readonly portOut?: string;
  /** The gateway that it is sent to, if to one. */
  readonly nextHop?: Address;
}

/** What rules of a namespace may ask. */
export function surroundings(namespace: Namespace, between: Between): Surroundings {
  const { in: from, out, portIn, portOut, nextHop } = between;
  const { seconds, snapshot: { xfrm } } = namespace;
  return {
    ...(seconds === undefined ? {} : { seconds }),
    ...(xfrm === undefined ? {} : { xfrm }),
    ...(from === undefined ? {} : { inDevice: from }),
    ...(out === undefined ? {} : { outDevice: out }),
    ...(portIn === undefined ? {} : { bridgePortIn: portIn }),
    ...(portOut === undefined ? {} : { bridgePortOut: portOut }),
    device(name) {
      const device = namespace.device(name);
      if (device === undefined) return undefined;
      const { index, group, type, kind } = device;
      return { index, group, type, ...(kind === "physical" ? {} : { kind }) };
    },
    addressType: (address, device) => addressType(namespace, address, device),
    addressOf(device, family, towards) {
      // IPv4 asks for the next hop's sake (`rt_nexthop`), IPv6 for the destination's.
      const near = family === 4 && device === out && nextHop?.family === 4 ? nextHop : towards;
      return addressOf(namespace, device, family, near);
    },
    reversePath: (packet, strict) => reversePath(namespace, from, packet, strict),
    hasSocket: (packet) => hasSocket(namespace, from, packet),
  };
}

function reversePath(
  namespace: Namespace,
  from: string | undefined,
  packet: Packet,
  strict: boolean,
): "pass" | "fail" | "unknown" {
  const device = namespace.device(from);
  if (device === undefined || namespace.snapshot.routes === undefined) return "unknown";
  const flow = inputFlow(namespace, device, packet);
  const back = lookup(namespace, {
    ...flow,
    source: packet.destination,
    destination: packet.source,
    inDevice: "lo",
  });
  if (back.found === "unknown") return "unknown";
  if (back.found !== "route") return "fail";
  if (back.route.type !== "unicast") return "fail";
  if (!strict) return "pass";
  return back.route.hops.some((hop) => hop.device === device.name) ? "pass" : "fail";
}

function hasSocket(
  namespace: Namespace,
  from: string | undefined,
  packet: Packet,
): boolean | undefined {
  if (packet.protocol !== PROTOCOLS.tcp && packet.protocol !== PROTOCOLS.udp) return undefined;
  const heard = listenerFor(namespace, from ?? "lo", packet);
  return heard.heard ? true : heard.unknown === true ? undefined : false;
}
