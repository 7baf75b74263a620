/**
 * What a cloud does with a packet between two nodes, by the facts that are told about it.
 *
 * @module
 */
import {
  type Address,
  formatAddress,
  inPrefix,
  parsePrefix,
  type Prefix,
} from "../packet/address.ts";
import { type Packet, PROTOCOLS, TCP_FLAGS } from "../packet/packet.ts";
import type { Passage, Underlay } from "../walk/network.ts";
import type { CloudRule, Facts, Interface } from "./facts.ts";

/** Something that decides, with its rules. */
interface RuleList {
  readonly what: string;
  readonly rules: readonly CloudRule[] | undefined;
}

type Direction = "ingress" | "egress";

/** A cloud, as far as it is known. */
export class Cloud implements Underlay {
  readonly #facts: Facts;

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  carry(node: string, packet: Packet, nextHop: Address): Passage {
    const from = this.#interfaceOf(node, packet, nextHop);
    if (from === undefined) return { passes: "unknown" };
    const left = this.#checked("egress", from, packet);
    if (left !== undefined) return left;
    const to = this.#receiver(from, packet, nextHop);
    if (to === "outside") return { passes: "unknown" };
    if ("passes" in to) return to;
    const between = from.subnet === to.subnet ? undefined : this.#bordered(from, to, packet);
    const arrived = between ?? this.#checked("ingress", to, packet);
    return arrived ?? { passes: "yes", node: to.node, addresses: prefixes(to.addresses) };
  }

  /** The node's interface that a packet leaves by: that of its source, of its next hop, or any. */
  #interfaceOf(node: string, { source }: Packet, nextHop: Address): Interface | undefined {
    const own = this.#facts.interfaces.filter((each) => each.node === node);
    const near = (each: Interface) =>
      this.#facts.interfaces.some((other) => other.subnet === each.subnet && has(other, nextHop));
    return own.find((each) => has(each, source)) ?? own.find(near) ?? own[0];
  }

  /** Whom it gets to: who is asked directly, else whom the subnet's routes name. */
  #receiver(
    from: Interface,
    packet: Packet,
    nextHop: Address,
  ): Interface | "outside" | Extract<Passage, { passes: "no" }> {
    const { interfaces, subnets } = this.#facts;
    const owner = (address: Address) => interfaces.find((each) => has(each, address));
    const near = interfaces.find((each) => each.subnet === from.subnet && has(each, nextHop));
    if (near !== undefined) return near;
    const { destination } = packet;
    const routes = subnets.find(({ name }) => name === from.subnet)?.routes;
    if (routes === undefined) return owner(destination) ?? "outside";
    const fitting = routes.flatMap((route) => {
      const prefix = parsePrefix(route.to);
      return prefix !== undefined && inPrefix(destination, prefix) ? [{ route, prefix }] : [];
    });
    const [best] = fitting.toSorted((a, b) => b.prefix.length - a.prefix.length);
    const to = formatAddress(destination);
    const table = `the routes of the subnet "${from.subnet}"`;
    if (best === undefined) return routeless(`${table} have nothing for ${to}`, `none for ${to}`);
    const { to: range, via } = best.route;
    const text = `${range} via ${via}`;
    if (via === "blackhole") return routeless(`${table} drop what is for ${to}`, text);
    const named = interfaces.find((each) => each.name === via || each.node === via);
    const found = via === "local" ? owner(destination) : named;
    if (found !== undefined) return found;
    return via === "local" ? routeless(`nobody in the cloud's network has ${to}`, text) : "outside";
  }

  /** The access lists of both subnets, which know of no connections. */
  #bordered(from: Interface, to: Interface, packet: Packet): Passage | undefined {
    const list = (name: string | undefined, direction: Direction): RuleList => ({
      what: `the access list of the subnet "${name}" (${direction})`,
      rules: this.#facts.subnets.find((each) => each.name === name)?.acl?.[direction],
    });
    return this.#ruled(list(from.subnet, "egress"), packet, packet.destination, false) ??
      this.#ruled(list(to.subnet, "ingress"), packet, packet.source, false);
  }

  /** What an interface itself lets through: its own addresses, and what its groups allow. */
  #checked(direction: Direction, at: Interface, packet: Packet): Passage | undefined {
    const [own, peer] = direction === "egress"
      ? [packet.source, packet.destination]
      : [packet.destination, packet.source];
    if (at.sourceCheck === true && !has(at, own)) {
      const whose = direction === "egress" ? "from" : "for";
      return {
        passes: "no",
        id: "cloud-source-check",
        what: `the cloud drops what is ${whose} ${formatAddress(own)} at the interface ` +
          `"${at.name}", whose address it is not`,
        evidence: `${at.name} has ${[...at.addresses, ...at.prefixes].join(", ")}`,
        fix: "switch the check of sources and destinations off for this interface, " +
          "or tell the cloud of the pods' addresses",
      };
    }
    if (at.groups === undefined) return undefined;
    const groups = this.#facts.groups.filter(({ name }) => at.groups?.includes(name));
    const lists = groups.map((group) => group[direction]);
    const rules = lists.includes(undefined) ? undefined : lists.flatMap((each) => each ?? []);
    const what = `the security groups ${at.groups.join(", ")} of "${at.name}" (${direction})`;
    return this.#ruled({ what, rules }, packet, peer, true);
  }

  /** The first rule that fits decides, of several with one priority one that denies; else none. */
  #ruled(
    { what, rules }: RuleList,
    packet: Packet,
    peer: Address,
    stateful: boolean,
  ): Passage | undefined {
    if (rules === undefined || stateful && isAnswer(packet)) return undefined;
    const order = rules.toSorted((a, b) =>
      a.priority - b.priority ||
      (stateful ? Number(b.action === "deny") - Number(a.action === "deny") : 0)
    );
    const found = order.find((rule) =>
      ofProtocol(rule, packet) && ofPorts(rule, packet) && this.#ofPeer(rule, peer)
    );
    if (found?.action === "allow") return undefined;
    const evidence = found === undefined ? "no rule allows it" : ruleText(found);
    return {
      passes: "no",
      id: "cloud-denies",
      what: `${what} do not let it pass: ${evidence}`,
      evidence: `${what}: ${evidence}`,
      fix: "add a rule that allows it there",
    };
  }

  #ofPeer({ peers }: CloudRule, address: Address): boolean {
    return [peers].flat().some((peer) => {
      if (peer === "any") return true;
      if (!peer.startsWith("group:")) return within([peer], address);
      const group = peer.slice("group:".length);
      return this.#facts.interfaces.some((each) =>
        each.groups?.includes(group) === true && has(each, address)
      );
    });
  }
}

function routeless(what: string, evidence: string): Extract<Passage, { passes: "no" }> {
  return {
    ...{ passes: "no", id: "cloud-route", what, evidence },
    fix: "add a route to the cloud's table, or a tunnel between the nodes",
  };
}

/** Whether an address is the interface's, or in a range that is sent to it. */
function has({ addresses, prefixes: ranges }: Interface, address: Address): boolean {
  return addresses.some((each) => within([hostOf(each)], address)) || within(ranges, address);
}

/** An address, without the length of its network. */
function hostOf(text: string): string {
  return text.split("/")[0] ?? text;
}

function prefixes(texts: readonly string[]): readonly Address[] {
  return texts.flatMap((text) => parsePrefix(hostOf(text))?.address ?? []);
}

function within(texts: readonly string[], address: Address): boolean {
  return texts.map(parsePrefix).some((range: Prefix | undefined) =>
    range !== undefined && inPrefix(address, range)
  );
}

/** Groups let through what belongs to a connection that they have let through. */
function isAnswer({ protocol, tcpFlags = 0, icmp, connection }: Packet): boolean {
  if (protocol === PROTOCOLS.tcp) return (tcpFlags & TCP_FLAGS.ack) !== 0;
  if (icmp !== undefined) return icmp.type === 0 || icmp.type === 129;
  return connection?.direction === "reply";
}

const NUMBERS: Readonly<Record<string, number>> = PROTOCOLS;

function ofProtocol({ protocol: wanted }: CloudRule, { protocol }: Packet): boolean {
  if (wanted === "any") return true;
  return (typeof wanted === "number" ? wanted : NUMBERS[wanted.toLowerCase()]) === protocol;
}

function ofPorts({ ports }: CloudRule, { destinationPort }: Packet): boolean {
  if (ports === undefined) return true;
  if (destinationPort === undefined) return false;
  return [ports].flat().some((each) => {
    const [first = 0, last = first] = String(each).split("-").map(Number);
    return destinationPort >= first && destinationPort <= last;
  });
}

function ruleText({ action, priority, protocol, ports, peers, name }: CloudRule): string {
  const parts = [
    ...(name === undefined ? [] : [`${name}:`]),
    ...[action, String(protocol)],
    ...(ports === undefined ? [] : [`ports ${[ports].flat().join(",")}`]),
    `peers ${[peers].flat().join(",")}`,
    ...(priority === 0 ? [] : [`priority ${priority}`]),
  ];
  return parts.join(" ");
}
