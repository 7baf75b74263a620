/**
 * What a walk leaves behind: steps, ends, and causes of ends.
 *
 * All of it are values: where the way parts, each branch goes on with its own trail.
 *
 * @module
 */
import type { RuleReference, ServedConnection } from "../netfilter/netfilter.ts";
import type { Address } from "../packet/address.ts";
import type { Connection, Packet } from "../packet/packet.ts";
import { settingName } from "./command.ts";
import type { Namespace } from "./namespace.ts";

/** What something was seen by. */
export interface Evidence {
  readonly kind:
    | ("rule" | "route" | "policy" | "sysctl" | "neighbour" | "device" | "socket" | "fdb")
    | ("address" | "bridge" | "snapshot" | "packet" | "cloud");
  readonly text: string;
  /** The netfilter rule, where it is one. */
  readonly rule?: RuleReference;
}

/** Why a packet goes no further, each by a name that does not change. */
export type CauseId =
  | ("no-route" | "route-refuses" | "rule-refuses" | "no-source-address")
  | ("netfilter-drop" | "netfilter-reject" | "netfilter-unknown" | "netfilter-queue" | "tproxy")
  | ("rp-filter" | "martian" | "forwarding-off" | "ipv6-disabled" | "ttl-exceeded")
  | ("device-down" | "no-carrier" | "device-missing" | "device-swallows" | "device-unknown")
  | ("neighbour-unresolved" | "neighbour-wrong" | "bridge-port" | "bridge-vlan" | "bridge-isolated")
  | ("program-unknown" | "filter-drop")
  | ("mtu-icmp" | "mtu-silent" | "tunnel-no-remote" | "tunnel-no-peer" | "tunnel-nested")
  | ("no-listener" | "backlog-full" | "echo-ignored" | "answer-misdelivered" | "wrong-namespace")
  | ("leaves-snapshot" | "part-missing" | "source-unknown" | "too-many-branches" | "too-many-steps")
  | ("not-walked" | "dataplane-unknown" | "cloud-denies" | "cloud-route" | "cloud-source-check");

/** Why a packet goes no further. */
export interface Cause {
  readonly id: CauseId;
  readonly namespace: Namespace;
  readonly device?: string;
  readonly hook?: string;
  /** Of the third packet of a handshake, which follows the answer and goes the request's way. */
  readonly third?: true;
  /** A sentence without a full stop. */
  readonly what: string;
  readonly evidence: readonly Evidence[];
  /** A command that shows the same on the node. */
  readonly confirm?: string;
  /** What would mend it, if that is what is wanted. */
  readonly fix?: string;
}

/** What happened to the packet in one place. */
export interface Step {
  readonly namespace: Namespace;
  readonly does:
    | ("send" | "route" | "rule" | "leave" | "arrive" | "bridge" | "forward" | "encapsulate")
    | ("decapsulate" | "deliver" | "resolve" | "answer");
  readonly text: string;
  readonly packet: Packet;
  readonly device?: string;
  /** How deep in tunnels: 0 is the packet that was sent. */
  readonly depth: number;
}

/** A connection in a namespace's table, as far as this walk has filled it. */
export interface Tracked {
  readonly namespace: string;
  readonly connection: Connection;
}

/** A connection that IPVS of a namespace has sent to a server on this walk. */
export interface Served extends ServedConnection {
  readonly namespace: string;
}

/** The way so far. */
export interface Trail {
  readonly steps: readonly Step[];
  readonly connections: readonly Tracked[];
  readonly served: readonly Served[];
  /** How probable this way is, where chance decided and the odds are known. */
  readonly chance: number;
  /** What this way takes for granted. */
  readonly assumptions: readonly string[];
  /** Neighbours that asked on the way, and so are known to whom they asked. */
  readonly learned: readonly Learned[];
  /** What tunnels around the packet carry, the innermost first. */
  readonly loads: readonly Load[];
}

/** A neighbour that a device has learnt, as it was asked by it. */
export interface Learned {
  readonly namespace: Namespace;
  readonly device: string;
  readonly address: Address;
  readonly mac: string;
}

/** What a tunnel carries: a frame, or a packet without one. */
export interface Load {
  readonly kind: string;
  /** The tunnel's number, where its kind has numbers: VNI, key. */
  readonly number?: number;
  readonly packet: Packet;
  readonly source?: string;
  readonly destination?: string;
  readonly vlan?: number;
  /** Nobody looks what is in it: it only shows whether it gets there. */
  readonly sealed?: true;
}

/** The way of a packet that has not been sent. */
export const START: Trail = {
  ...{ steps: [], connections: [], served: [], chance: 1, assumptions: [], learned: [], loads: [] },
};

/** What a way leaves to the packets after it. */
export function after({ connections, served, chance, learned }: Trail): Trail {
  return { ...START, connections, served, chance, learned };
}

/** How a way ends. */
export interface End {
  readonly verdict: "delivered" | "blocked" | "unknown";
  readonly trail: Trail;
  readonly packet: Packet;
  readonly namespace: Namespace;
  /** Of all that was not delivered. */
  readonly cause?: Cause;
}

/** The trail with one more step. */
export function stepped(trail: Trail, step: Omit<Step, "depth">): Trail {
  return { ...trail, steps: [...trail.steps, { ...step, depth: trail.loads.length }] };
}

/** The trail with something taken for granted. */
export function assuming(trail: Trail, ...texts: readonly string[]): Trail {
  const fresh = texts.filter((text) => !trail.assumptions.includes(text));
  return fresh.length === 0 ? trail : { ...trail, assumptions: [...trail.assumptions, ...fresh] };
}

/** An end that is not a delivery. */
export function ended(
  verdict: "blocked" | "unknown",
  trail: Trail,
  packet: Packet,
  cause: Cause,
): End {
  return { verdict, trail, packet, namespace: cause.namespace, cause };
}

/** Evidence of a setting. */
export function sysctl(namespace: Namespace, path: string): Evidence {
  const value = namespace.snapshot.sysctls?.[path];
  return { kind: "sysctl", text: `${settingName(path)} = ${value ?? "not known"}` };
}
