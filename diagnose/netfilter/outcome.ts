/**
 * What netfilter is asked, and what it answers: the words between the walk and the rules.
 *
 * @module
 */
import type { Address, Family } from "../packet/address.ts";
import type { Packet, Tuple } from "../packet/packet.ts";

/** Where in a packet's way through a namespace rules are asked. */
export type Hook =
  | "ingress"
  | "prerouting"
  | "input"
  | "forward"
  | "output"
  | "postrouting"
  | "egress";

/** What rules ask of a device. */
export interface DeviceFacts {
  readonly index: number;
  readonly group: number;
  /** `ARPHRD_…`: 1 for Ethernet, 772 for loopback. */
  readonly type: number;
  /** As `ip link` says it: `veth`, `bridge`. */
  readonly kind?: string;
}

/** What rules ask of the namespace. */
export interface Surroundings {
  readonly inDevice?: string;
  readonly outDevice?: string;
  /** Ports of a bridge, where the packet is bridged and br_netfilter asks the IP rules. */
  readonly bridgePortIn?: string;
  readonly bridgePortOut?: string;
  /** Whether rules of the family `bridge` are asked, of a frame. */
  readonly ofFrame?: true;
  /** When it is, since 1970; absent where that is not known. */
  readonly seconds?: number;
  /** How many policies and states of IPsec there are; absent where that is not known. */
  readonly xfrm?: { readonly policies: number; readonly states: number };
  device(name: string): DeviceFacts | undefined;
  /**
   * The kind of the address by the routing tables: `local`, `unicast`, `broadcast`, `multicast`,
   * `anycast`, `blackhole`, `unreachable`, `prohibit`, `throw`, or "" where it cannot be known.
   * With a device, by the routes over that device alone.
   */
  addressType(address: Address, device?: string): string;
  /** Whether the source would be reached, strictly: through the device that it came by. */
  reversePath?(packet: Packet, strict: boolean): "pass" | "fail" | "unknown";
  /** Connections that IPVS has sent to a server before. */
  readonly served?: readonly ServedConnection[];
  /** Whether a socket of the namespace belongs to the packet; undefined if that is not known. */
  hasSocket?(packet: Packet): boolean | undefined;
  /**
   * The device's address for packets to somewhere, which MASQUERADE takes, or its first, which
   * REDIRECT does.
   */
  addressOf(device: string, family: Family, towards?: Address): Address | undefined;
}

/** Where a rule stands. */
export interface RuleReference {
  readonly engine: "iptables-legacy" | "iptables-nft" | "nft" | "ipvs" | "bridge";
  /** `ip`, `ip6`, `inet`, `netdev`, `arp`, `bridge`. */
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** In the chain, from 1; 0 for the chain's policy. */
  readonly number: number;
  /** As its tool writes it. */
  readonly text: string;
  /** How many packets matched it when the snapshot was taken. */
  readonly packets?: bigint;
}

/** To which real server IPVS sends a packet. */
export interface RealServer {
  readonly mode: "masq" | "route" | "tunnel" | "local";
  readonly address: Address;
  readonly port: number;
}

/** What IPVS knows of a connection. */
export interface ServedConnection {
  /** From the client to the virtual service. */
  readonly original: Tuple;
  readonly server: RealServer;
}

/** One way that it can end; there are several when chance decides. */
export interface Outcome {
  readonly verdict: "accept" | "drop" | "reject" | "queue" | "stolen" | "unknown";
  /** After marks, NAT, TTL. */
  readonly packet: Packet;
  /** The rule, or the chain's policy, that decided; the one that cannot be known, if unknown. */
  readonly by?: RuleReference;
  readonly because?: string;
  /** How probable this outcome is, where that is known. */
  readonly chance?: number;
  /** Rules that matched on the way and did something. */
  readonly trace: readonly RuleReference[];
  readonly assumptions: readonly string[];
  /** In the hook output: mark, type of service or address changed, so the route is asked again. */
  readonly rerouted?: boolean;
  /** IPVS took the packet (`stolen`) and sends it on, from the hook output on. */
  readonly server?: RealServer;
  /** The connection that IPVS has for the packet, where it has begun here. */
  readonly served?: ServedConnection;
  /** A TPROXY rule gives it to the socket that listens there, whatever its destination says. */
  readonly proxy?: { readonly address?: Address; readonly port: number };
}
