/**
 * Walks a packet through namespaces as the kernel would take it: from the socket that sends it,
 * over rules, routes, netfilter, neighbours and devices, to the socket that gets it, or to where it
 * dies.
 *
 * Where chance or a hash decides, the way parts; all branches are walked, within bounds.
 *
 * @module
 */
import type { Hook, Layer, Outcome } from "../netfilter/netfilter.ts";
import { type Address, formatAddress, sameAddress } from "../packet/address.ts";
import {
  firstPacket,
  newConnection,
  type Packet,
  PROTOCOLS,
  sameTuple,
  tupleOf,
} from "../packet/packet.ts";

import { UNSURE } from "./discovery.ts";
import { type Arrival, type BridgeHook, type Carried, type Frame, Frames } from "./frames.ts";
import { inputRoute, lacking, unroutable } from "./input_route.ts";
import { isLimitedBroadcast, isMulticast, lookup } from "./lookup.ts";
import type { Namespace } from "./namespace.ts";
import { neighbours } from "./neighbours.ts";
import type { Network, Place } from "./network.ts";
import { causeOf, ruleSteps } from "./netfilter_cause.ts";
import type { Hop, Route } from "./routes.ts";
import { type Between, surroundings } from "./surroundings.ts";
import { sourceFor } from "./source.ts";
import { confirmed, forgotten, tracked } from "./tracking.ts";
import {
  assuming,
  type Cause,
  type CauseId,
  type End,
  ended,
  START,
  stepped,
  type Trail,
} from "./trail.ts";
import { encapsulate, noPeer, type Outer, tunnelFor } from "./tunnels.ts";
import { shellWord } from "./command.ts";

/** Ways that one packet may take; what is beyond is unknown. */
const BRANCHES_MAX = 64;
/** Hops, rules and devices of one way. */
const STEPS_MAX = 400;
const TUNNELS_MAX = 4;
const ARP_BYTES = 28;

/** What the sender's socket adds to a packet. */
export interface Sending {
  /** Which the socket is bound to. */
  readonly device?: string;
  /** The tunnel that made the packet: rules after routing see it as if it came by it. */
  readonly tunnel?: string;
}

/** What becomes of a packet that reached the namespace it is for. */
export type Deliver = (
  trail: Trail,
  namespace: Namespace,
  device: string,
  packet: Packet,
) => readonly End[];

/** Walks packets through a network. */
export class Walker {
  readonly #frames: Frames;
  #branches = 0;
  /** Tunnels that are being asked for neighbours, each on the way of the one before. */
  #asking = 0;

  constructor(readonly network: Network, readonly deliver: Deliver) {
    this.#frames = new Frames(network, {
      rules: (...asked) => this.#bridgeRules(...asked),
      own: (...asked) => this.#bridgeOwn(...asked),
      atDevice: (...asked) => this.#atDevice(...asked),
      redirected: (...asked) => this.#redirected(...asked),
      carried: (...asked) => this.#carried(...asked),
    });
  }

  /** All ends of a packet that a namespace sends. */
  send(
    trail: Trail,
    namespace: Namespace,
    packet: Packet,
    sending: Sending = {},
  ): readonly End[] {
    const start = stepped(trail, {
      ...{ namespace, does: trail.loads.length > 0 ? "route" : "send", packet },
      text: `from ${formatAddress(packet.source)}`,
    });
    return this.#output(start, namespace, tracked(trail, namespace, packet), sending, true);
  }

  #end(
    verdict: "blocked" | "unknown",
    trail: Trail,
    packet: Packet,
    cause: Cause,
  ): readonly End[] {
    return [ended(verdict, trail, packet, cause)];
  }

  #unknown(
    trail: Trail,
    packet: Packet,
    namespace: Namespace,
    id: CauseId,
    what: string,
  ): readonly End[] {
    return this.#end("unknown", trail, packet, { id, namespace, what, evidence: [] });
  }

  /** Looks up where a packet of this namespace's own goes, and sends it there by each way. */
  #output(
    trail: Trail,
    namespace: Namespace,
    packet: Packet,
    sending: Sending,
    asked: boolean,
  ): readonly End[] {
    const missing = namespace.lacks("routes") ?? namespace.lacks("rules");
    if (missing !== undefined) {
      return this.#end("unknown", trail, packet, lacking(namespace, "routes", missing));
    }
    if (isMulticast(packet.destination) || isLimitedBroadcast(packet.destination)) {
      const what = `${formatAddress(packet.destination)} is for many, which is not walked`;
      return this.#unknown(trail, packet, namespace, "not-walked", what);
    }
    const { source, destination, protocol, sourcePort, destinationPort, tos, mark } = packet;
    const vrf = namespace.vrf(namespace.device(sending.device));
    const found = lookup(namespace, {
      ...{ source, destination, protocol, tos, mark, inDevice: "lo", uid: packet.uid ?? 0 },
      ...(sourcePort === undefined ? {} : { sourcePort }),
      ...(destinationPort === undefined ? {} : { destinationPort }),
      ...(sending.device === undefined ? {} : { outDevice: sending.device }),
      ...(vrf === undefined ? {} : { vrf }),
    });
    if (found.found !== "route") {
      const verdict = found.found === "unknown" ? "unknown" : "blocked";
      return this.#end(verdict, trail, packet, unroutable(namespace, packet, found));
    }
    return this.#parted(trail, { namespace, packet }, found.hops, (next, hop) => {
      const out = found.route.type === "local" ? "lo" : hop.device ?? "";
      const routed = this.#routeStep(next, namespace, packet, found.route, hop);
      const { tunnel } = sending;
      const from = tunnel === undefined ? {} : { tunnel };
      if (!asked) return this.#leave(routed, namespace, packet, found.route, hop, from);
      return this.#rules(
        routed,
        "output",
        namespace,
        packet,
        { out },
        (passed, after, outcome) =>
          outcome.rerouted === true
            ? this.#output(passed, namespace, after, sending, false)
            : this.#leave(passed, namespace, after, found.route, hop, from),
      );
    });
  }

  #routeStep(
    trail: Trail,
    namespace: Namespace,
    packet: Packet,
    route: Route,
    hop: Hop,
  ): Trail {
    const device = hop.device;
    return stepped(trail, {
      ...{ namespace, does: "route", text: `route ${route.text}`, packet },
      ...(device === undefined ? {} : { device }),
    });
  }

  /** One branch for each hop of a route, each as probable as its weight says. */
  #parted(
    trail: Trail,
    { namespace, packet }: { readonly namespace: Namespace; readonly packet: Packet },
    hops: readonly Hop[],
    go: (trail: Trail, hop: Hop) => readonly End[],
  ): readonly End[] {
    // In a loop of routes each turn would double the ways.
    if (hops.length > 1) this.#branches += hops.length - 1;
    if (this.#branches > BRANCHES_MAX) {
      const what = `routes and rules part the way more than ${BRANCHES_MAX} times`;
      return this.#unknown(trail, packet, namespace, "too-many-branches", what);
    }
    const total = hops.reduce((sum, { weight }) => sum + weight, 0);
    return hops.flatMap((hop) => go({ ...trail, chance: trail.chance * hop.weight / total }, hop));
  }

  /** Asks the rules of a hook, and goes on with each outcome that lets the packet pass. */
  #rules(
    trail: Trail,
    hook: Hook,
    namespace: Namespace,
    packet: Packet,
    between: Between,
    go: (trail: Trail, packet: Packet, outcome: Outcome) => readonly End[],
  ): readonly End[] {
    const served = trail.served.filter((each) => each.namespace === namespace.key);
    const around = { ...surroundings(namespace, between), served };
    const outcomes = namespace.netfilter.run(hook, packet, around);
    if (outcomes.length > 1) this.#branches += outcomes.length - 1;
    if (this.#branches > BRANCHES_MAX) {
      const what = `routes and rules part the way more than ${BRANCHES_MAX} times`;
      return this.#unknown(trail, packet, namespace, "too-many-branches", what);
    }
    if (trail.steps.length > STEPS_MAX) {
      const what = `the packet has not arrived after ${STEPS_MAX} steps`;
      return this.#unknown(trail, packet, namespace, "too-many-steps", what);
    }
    const missing = unknownRules(namespace, packet);
    return outcomes.flatMap((outcome) => {
      const chance = trail.chance * (outcome.chance ?? 1);
      const next = assuming(
        ruleSteps(
          keeping({ ...trail, chance }, namespace, outcome),
          namespace,
          hook,
          packet,
          outcome,
        ),
        ...outcome.assumptions,
        ...ofIpsec(namespace, hook),
      );
      if (outcome.verdict === "accept" && missing !== undefined) {
        return this.#end("unknown", next, packet, missing);
      }
      if (outcome.verdict === "accept") {
        return outcome.proxy === undefined
          ? go(next, outcome.packet, outcome)
          : this.#unknown(next, packet, namespace, "tproxy", "a transparent proxy takes it");
      }
      if (outcome.verdict === "stolen" && outcome.server !== undefined) {
        return this.#served(next, namespace, outcome.packet, outcome.server);
      }
      const cause = causeOf(namespace, hook, between, packet, outcome);
      const sure = outcome.verdict === "drop" || outcome.verdict === "reject";
      return this.#end(sure ? "blocked" : "unknown", next, outcome.packet, cause);
    });
  }

  /** IPVS sends it to a real server, from the hook output on. */
  #served(
    trail: Trail,
    namespace: Namespace,
    packet: Packet,
    server: NonNullable<Outcome["server"]>,
  ): readonly End[] {
    const text = `IPVS: ${formatAddress(server.address)} (${server.mode})`;
    const next = stepped(trail, { namespace, does: "forward", text, packet });
    if (server.mode === "masq" || server.mode === "local") {
      return this.#output(next, namespace, packet, {}, true);
    }
    const what = `IPVS forwards to ${formatAddress(server.address)} in the mode ${server.mode}`;
    return this.#unknown(next, packet, namespace, "not-walked", what);
  }

  /** Takes a packet out by a hop: rules after routing, length, neighbour, device. */
  #leave(
    trail: Trail,
    namespace: Namespace,
    packet: Packet,
    route: Route,
    hop: Hop,
    from: { readonly device?: string; readonly tunnel?: string },
  ): readonly End[] {
    const sent = from.device === undefined && packet.source.family === 4;
    // What IPv4 itself sends by loopback is delivered here, whomever it is for: `__mkroute_output`.
    const local = route.type === "local" || sent && hop.device === "lo";
    const out = local ? "lo" : hop.device ?? "";
    const device = namespace.device(out);
    if (device === undefined && !local) {
      const what = `the route "${route.text}" names no device that the snapshot has`;
      return this.#unknown(trail, packet, namespace, "device-missing", what);
    }
    const mtu = Math.min(route.mtu ?? Infinity, device?.mtu ?? Infinity);
    if (packet.length > mtu && from.device === undefined) {
      return this.#end("blocked", trail, packet, tooLong(namespace, out, mtu, packet, route));
    }
    const before = from.device ?? from.tunnel;
    const between = {
      ...{ out, ...(before === undefined ? {} : { in: before }) },
      ...(hop.gateway === undefined ? {} : { nextHop: hop.gateway }),
    };
    return this.#rules(trail, "postrouting", namespace, packet, between, (passed, after) => {
      const kept = confirmed(passed, namespace, after);
      if (local) return this.#loop(kept, namespace, after);
      if (device === undefined) return [];
      const { state, direction, masqueradeDevice: own = out } = after.connection;
      if (state === "established" && direction === "original" && own !== out) {
        // nf_nat_oif_changed() of net/netfilter/nf_nat_core.c
        const what =
          `MASQUERADE has tied the connection to "${own}", and it goes on by "${out}": ` +
          "the kernel drops the packet, and takes the next for a new connection's";
        return this.#unknown(kept, after, namespace, "not-walked", what);
      }
      return this.#hand(kept, { namespace, device }, after, hop.gateway ?? after.destination);
    });
  }

  /** From the namespace to itself. */
  #loop(trail: Trail, namespace: Namespace, packet: Packet): readonly End[] {
    const lo = namespace.device("lo");
    if (lo?.up === false) {
      return this.#end("blocked", trail, packet, {
        id: "device-down",
        namespace,
        device: "lo",
        what: 'the device "lo" is down, and so nothing gets from this namespace to itself',
        evidence: [{ kind: "device", text: `lo <${lo.link.flags.join(",")}>` }],
        confirm: namespace.command("ip link show dev lo"),
        fix: namespace.command("ip link set dev lo up"),
      });
    }
    const between = { in: "lo" };
    return this.#rules(
      trail,
      "prerouting",
      namespace,
      packet,
      between,
      (next, after) => this.#local(next, namespace, "lo", after),
    );
  }

  /** Gives a packet to a device, towards the next hop. */
  #hand(trail: Trail, place: Place, packet: Packet, nextHop: Address): readonly End[] {
    const { namespace, device } = place;
    const out = { out: device.name };
    return this.#rules(trail, "egress", namespace, packet, out, (passed, after) => {
      if (!device.up) {
        const frame = { source: device.mac, destination: "", packet: after };
        return this.#arrived(this.#frames.transmit(place, frame, passed), nextHop);
      }
      const found = neighbours(this.#frames, place, after, nextHop, passed.learned);
      return found.flatMap((each) => {
        if (each.found === "nobody") {
          const over = this.#carriedOver(passed, place, after, nextHop, each.cause);
          if (over !== undefined) return over;
          return this.#end(each.unknown ? "unknown" : "blocked", passed, after, each.cause);
        }
        const left = stepped(passed, {
          ...{ namespace, does: "leave", device: device.name, packet: after },
          text: `out by ${device.name} to ${formatAddress(nextHop)}` +
            (each.mac === "" ? "" : `, ${each.mac}`),
        });
        const taught = each.learned === undefined
          ? left
          : { ...left, learned: [...left.learned, each.learned] };
        const shared = found.length > 1
          ? assuming(taught, `several answer for ${formatAddress(nextHop)}: any may get it`)
          : taught;
        const frame: Frame = { source: device.mac, destination: each.mac, packet: after };
        const arrivals = this.#frames.transmit(place, frame, shared);
        if (arrivals.length > 0) return this.#arrived(arrivals, nextHop);
        return this.#end("blocked", shared, after, {
          id: "neighbour-wrong",
          namespace,
          device: device.name,
          what: `nobody behind "${device.name}" has the address ${each.mac}`,
          evidence: [{ kind: "neighbour", text: each.text }],
          confirm: namespace.command(
            `ip neighbour show ${formatAddress(nextHop)} dev ${shellWord(device.name)}`,
          ),
          fix: namespace.command(
            `ip neighbour delete ${formatAddress(nextHop)} dev ${shellWord(device.name)}`,
          ),
        });
      });
    });
  }

  #arrived(arrivals: readonly Arrival[], nextHop: Address): readonly End[] {
    return arrivals.flatMap((each): readonly End[] => {
      const { packet } = each.frame;
      if (packet === undefined) return [];
      if (each.at === "lost") {
        return this.#end(
          each.unknown === true ? "unknown" : "blocked",
          each.trail,
          packet,
          each.cause,
        );
      }
      if (each.at === "device") {
        return this.receive(each.trail, each.place, packet, each.frame, each.prerouted === true);
      }
      if (each.at === "tunnel") return this.#tunnel(each.trail, each.place, each.frame, nextHop);
      return this.#beyond(each.trail, each.place, each.frame, nextHop);
    });
  }

  /** By a router of the cloud, which no snapshot has; undefined where nothing is known of one. */
  #carriedOver(
    trail: Trail,
    place: Place,
    packet: Packet,
    nextHop: Address,
    { id }: Cause,
  ): readonly End[] | undefined {
    const { namespace, device } = place;
    if (id !== "leaves-snapshot" || this.network.underlay === undefined) return undefined;
    const { passes } = this.network.underlay.carry(namespace.node, packet, nextHop);
    if (passes === "unknown") return undefined;
    const next = stepped(trail, {
      ...{ namespace, does: "leave", device: device.name, packet },
      text: `out by ${device.name} to ${formatAddress(nextHop)}, the cloud's router`,
    });
    const frame: Frame = { source: device.mac, destination: "", packet };
    return this.#beyond(next, place, frame, nextHop);
  }

  /** To another node, over what is between them. */
  #beyond(trail: Trail, place: Place, frame: Frame, nextHop: Address): readonly End[] {
    const { namespace, device } = place;
    const { packet } = frame;
    if (packet === undefined) return [];
    const far = this.network.beyond(namespace.node);
    const byMac = far.filter((each) => each.device.mac === frame.destination);
    const has = (address: Address) =>
      far.filter((each) => each.device.addresses.some((own) => sameAddress(own.address, address)));
    const carried = this.network.underlay?.carry(namespace.node, packet, nextHop);
    if (carried?.passes === "no") {
      const { id, what, evidence, fix } = carried;
      const shown = [{ kind: "cloud" as const, text: evidence }];
      return this.#end("blocked", trail, packet, {
        ...{ id, namespace, device: device.name, what, evidence: shown, fix },
      });
    }
    const near = carried?.passes === "yes"
      ? carried.addresses.flatMap(has)
      : byMac.length > 0
      ? byMac
      : has(nextHop);
    const [arrival] = near.length > 0 ? near : has(packet.destination);
    if (arrival !== undefined) {
      const lets = carried?.passes === "yes"
        ? trail
        : assuming(trail, "nothing between the nodes stops it, such as a cloud's security groups");
      const over = near.length > 0
        ? lets
        : assuming(lets, `what is between the nodes takes it to ${arrival.namespace.label}`);
      const to = { ...frame, destination: arrival.device.mac };
      return this.#arrived(this.#frames.receive(arrival, to, over), nextHop);
    }
    return this.#end("unknown", trail, packet, {
      id: "leaves-snapshot",
      namespace,
      device: device.name,
      what: `it leaves by "${device.name}" towards ${formatAddress(nextHop)}, ` +
        "which no snapshot has: so far nothing stops it",
      evidence: [{ kind: "device", text: `${device.name} to ${formatAddress(nextHop)}` }],
      fix: "collect a snapshot of the node there, too",
    });
  }

  #tunnel(trail: Trail, place: Place, frame: Frame, nextHop: Address): readonly End[] {
    const { packet } = frame;
    if (packet === undefined) return [];
    if (trail.loads.length >= TUNNELS_MAX) {
      const what = `it is in ${TUNNELS_MAX} tunnels at once`;
      return this.#unknown(trail, packet, place.namespace, "tunnel-nested", what);
    }
    const outers = encapsulate(this.network, place, frame, nextHop);
    if ("cause" in outers) {
      return this.#end(outers.unknown ? "unknown" : "blocked", trail, packet, outers.cause);
    }
    const ends = outers.map((outer) => this.#wrapped(trail, place, packet, outer));
    // A frame that goes to all far ends counts where one takes it.
    return ends.find((each) => each.some(({ verdict }) => verdict === "delivered")) ??
      ends.toSorted((a, b) => lengthOfWay(b) - lengthOfWay(a))[0] ?? [];
  }

  #wrapped(trail: Trail, place: Place, packet: Packet, outer: Outer): readonly End[] {
    const { namespace, destination, protocol, length, load } = outer;
    const next = stepped(trail, {
      ...{ namespace: place.namespace, does: "encapsulate", device: place.device.name, packet },
      text: `${load.kind} ${place.device.name} to ${formatAddress(destination)}`,
    });
    const source = outer.source ?? this.#sourceOf(namespace, outer);
    if (source === undefined) {
      const what = `no route leads to the tunnel's far end ${formatAddress(destination)}`;
      return this.#end("blocked", next, packet, {
        id: "no-route",
        namespace,
        what,
        evidence: [],
        confirm: namespace.command(`ip route get ${formatAddress(destination)}`),
        fix: `add a route to ${formatAddress(destination)}`,
      });
    }
    const tuple = tupleOf({ ...outer, source });
    const wrapping: Packet = {
      ...tuple,
      ...{ protocol, length, ttl: outer.ttl ?? 64, tos: 0, inner: packet },
      mark: namespace === place.namespace ? packet.mark : 0,
      connection: newConnection(tuple),
    };
    const inside = { ...next, loads: [...next.loads, load] };
    const sending: Sending = {
      tunnel: place.device.name,
      ...(outer.outDevice === undefined ? {} : { device: outer.outDevice }),
    };
    return this.send(inside, namespace, wrapping, sending);
  }

  /** Asks for a neighbour, or answers, through a tunnel: the packets around it may be stopped. */
  #carried(tunnel: Place, frame: Frame): Carried {
    const packet = frame.packet ?? asked(frame);
    const outers = encapsulate(this.network, tunnel, { ...frame, packet }, undefined);
    if ("cause" in outers) return { places: [], lost: [outers.cause], unknown: outers.unknown };
    if (this.#asking >= TUNNELS_MAX) return { places: [], lost: [], unknown: true };
    this.#asking++;
    const ends = outers.flatMap((outer) =>
      this.#wrapped(START, tunnel, packet, { ...outer, load: { ...outer.load, sealed: true } })
    );
    this.#asking--;
    const places = ends.flatMap(({ verdict, namespace, packet: outer, trail }): Place[] => {
      const load = trail.loads.at(-1);
      if (verdict !== "delivered" || load === undefined) return [];
      const device = tunnelFor(namespace, outer, load);
      return device === undefined ? [] : [{ namespace, device }];
    });
    return {
      places,
      lost: ends.flatMap(({ cause }) => cause ?? []),
      unknown: ends.some(({ verdict }) => verdict === "unknown"),
    };
  }

  #sourceOf(namespace: Namespace, { destination, protocol }: Outer): Address | undefined {
    return preferredSource(namespace, destination, protocol);
  }

  /** A packet that a device gives to IP. */
  receive(
    trail: Trail,
    place: Place,
    packet: Packet,
    frame?: Frame,
    prerouted = false,
  ): readonly End[] {
    const { namespace, device } = place;
    const last = trail.steps.at(-1);
    const crossed = last !== undefined && last.namespace !== namespace;
    const known = prerouted ? packet : forgotten(packet, !crossed);
    const framed: Packet = frame === undefined || frame.destination === ""
      ? known
      : { ...known, sourceMac: frame.source, destinationMac: frame.destination };
    const next = stepped(trail, {
      ...{ namespace, does: "arrive", device: device.name, packet: framed },
      text: `in by ${device.name}`,
    });
    const between = { in: device.name };
    if (prerouted) return this.#input(next, place, framed);
    return this.#rules(next, "ingress", namespace, framed, between, (passed, after) =>
      this.#rules(
        passed,
        "prerouting",
        namespace,
        tracked(passed, namespace, after),
        between,
        (routed, altered) => this.#input(routed, place, altered),
      ));
  }

  #input(trail: Trail, { namespace, device }: Place, packet: Packet): readonly End[] {
    const decision = inputRoute(namespace, device, packet);
    if (decision.to === "nowhere") {
      return this.#end(
        decision.unknown === true ? "unknown" : "blocked",
        trail,
        packet,
        decision.cause,
      );
    }
    if (decision.to === "here") return this.#local(trail, namespace, device.name, packet);
    if (packet.ttl <= 1) {
      return this.#end("blocked", trail, packet, {
        id: "ttl-exceeded",
        namespace,
        device: device.name,
        what: "its time to live is over: it goes round in a loop of routes, or began too small",
        evidence: [{ kind: "route", text: decision.route.text }],
        confirm: namespace.command(`traceroute -n ${formatAddress(packet.destination)}`),
        fix: "correct the routes that lead back to where it came from",
      });
    }
    const aged = { ...packet, ttl: packet.ttl - 1 };
    return this.#parted(trail, { namespace, packet: aged }, decision.hops, (next, hop) => {
      const out = hop.device ?? "";
      const routed = this.#routeStep(next, namespace, aged, decision.route, hop);
      const mtu = Math.min(decision.route.mtu ?? Infinity, namespace.device(out)?.mtu ?? Infinity);
      if (aged.length > mtu) {
        const cause = tooLong(namespace, out, mtu, aged, decision.route);
        return this.#end("blocked", routed, aged, cause);
      }
      const between = { in: device.name, out };
      return this.#rules(
        routed,
        "forward",
        namespace,
        aged,
        between,
        (passed, after) =>
          this.#leave(passed, namespace, after, decision.route, hop, { device: device.name }),
      );
    });
  }

  /** A packet for this namespace itself: rules, then a tunnel or a socket. */
  #local(
    trail: Trail,
    namespace: Namespace,
    device: string,
    packet: Packet,
  ): readonly End[] {
    return this.#rules(trail, "input", namespace, packet, { in: device }, (passed, after) => {
      const kept = confirmed(passed, namespace, after);
      const load = kept.loads.at(-1);
      if (load === undefined) return this.deliver(kept, namespace, device, after);
      const tunnel = tunnelFor(namespace, after, load);
      if (tunnel === undefined) {
        return this.#end("blocked", kept, after, noPeer(namespace, after, load));
      }
      if (load.sealed) return [{ verdict: "delivered", trail: kept, packet: after, namespace }];
      return this.#unwrapped(kept, { namespace, device: tunnel }, after);
    });
  }

  #unwrapped(trail: Trail, place: Place, outer: Packet): readonly End[] {
    const load = trail.loads.at(-1);
    if (load === undefined) return [];
    const inner = { ...load.packet, mark: outer.mark };
    const known = load.kind === "wireguard"
      ? assuming(trail, `the keys of "${place.device.name}" and its peer fit, and so does the port`)
      : trail;
    const next = stepped({ ...known, loads: known.loads.slice(0, -1) }, {
      ...{ namespace: place.namespace, does: "decapsulate", device: place.device.name },
      text: `${load.kind} ${place.device.name}: the packet inside`,
      packet: inner,
    });
    const frame: Frame = {
      source: load.source ?? "",
      destination: load.destination ?? "",
      packet: inner,
      ...(load.vlan === undefined ? {} : { vlan: load.vlan }),
    };
    const arrivals = this.#frames.receive(place, frame, next);
    if (arrivals.length > 0) return this.#arrived(arrivals, inner.destination);
    return this.#end("blocked", next, inner, {
      id: "neighbour-wrong",
      namespace: place.namespace,
      device: place.device.name,
      what: `the packet inside is for ${frame.destination}, and "${place.device.name}" ` +
        `has ${place.device.mac}`,
      evidence: [{ kind: "device", text: `${place.device.name} ${place.device.mac}` }],
      confirm: place.namespace.command(`ip link show dev ${shellWord(place.device.name)}`),
      fix: "correct the neighbour entry of the sender",
    });
  }

  /**
   * A frame whose packet goes elsewhere now: to its new destination, where that is behind the same
   * bridge, else up to be routed (`br_nf_pre_routing_finish`).
   */
  #redirected(bridge: Place, frame: Frame, trail: Trail): readonly Arrival[] {
    const { packet } = frame;
    if (packet === undefined) return [];
    const { namespace, device } = bridge;
    const lost = (cause: Cause, unknown: boolean): Arrival => ({
      ...{ at: "lost", cause, trail, frame, unknown },
    });
    const to = (destination: string): Arrival => ({
      ...{ at: "device", place: bridge, trail, frame: { ...frame, destination } },
    });
    const decision = inputRoute(namespace, device, packet);
    if (decision.to === "nowhere") return [lost(decision.cause, decision.unknown === true)];
    if (decision.to === "here") return [to(device.mac)];
    return decision.hops.flatMap((hop): readonly Arrival[] => {
      if (hop.device !== device.name) return [to(device.mac)];
      const nextHop = hop.gateway ?? packet.destination;
      return neighbours(this.#frames, bridge, packet, nextHop, trail.learned).map((each) =>
        each.found === "nobody" ? lost(each.cause, each.unknown) : to(each.mac)
      );
    });
  }

  /** What rules of the family `bridge` do with a frame. */
  #bridgeOwn(
    hook: BridgeHook,
    bridge: Place,
    ports: { readonly in?: string; readonly out?: string },
    frame: Frame,
    trail: Trail,
  ): readonly Arrival[] | undefined {
    const packet = frame.packet ?? frame.arp;
    if (packet === undefined || !bridge.namespace.netfilter.bridged) return undefined;
    const between = {
      ...(ports.in === undefined || hook === "postrouting" ? {} : { in: ports.in }),
      ...(ports.out === undefined ? {} : { out: ports.out }),
    };
    return this.#ofFrame(hook, "bridge", bridge, between, { frame, packet }, trail);
  }

  /** What rules at a device do with a frame that only passes it. */
  #atDevice(
    hook: "ingress" | "egress",
    place: Place,
    frame: Frame,
    trail: Trail,
  ): readonly Arrival[] | undefined {
    const packet = frame.packet ?? frame.arp;
    if (packet === undefined || !place.namespace.netfilter.atDevices) return undefined;
    const between = hook === "ingress" ? { in: place.device.name } : { out: place.device.name };
    const layer = packet.arp === undefined ? "ip" : "arp";
    return this.#ofFrame(hook, layer, place, between, { frame, packet }, trail);
  }

  #ofFrame(
    hook: Hook,
    layer: Layer,
    place: Place,
    between: Between,
    { frame, packet }: { readonly frame: Frame; readonly packet: Packet },
    trail: Trail,
  ): readonly Arrival[] {
    const { namespace } = place;
    const framed = { ...packet, sourceMac: frame.source, destinationMac: frame.destination };
    const around = surroundings(namespace, between);
    const outcomes = namespace.netfilter.run(hook, framed, around, layer);
    const stops = outcomes.find(({ verdict }) => verdict !== "accept");
    // Who asks for a neighbour does so more than once; whether chance lets one pass is not known.
    if (packet.arp !== undefined && stops !== undefined && outcomes.length > 1) {
      const cause = { ...causeOf(namespace, hook, between, packet, stops), id: UNSURE } as const;
      return [{ at: "lost", cause, trail, frame, unknown: true }];
    }
    return outcomes.map((outcome): Arrival => {
      const chance = trail.chance * (outcome.chance ?? 1);
      const next = assuming(
        ruleSteps({ ...trail, chance }, namespace, hook, packet, outcome),
        ...outcome.assumptions,
      );
      if (outcome.verdict === "accept" && !sameTuple(packet, outcome.packet)) {
        const what = "where a frame goes of which a rule changes an end is not known";
        const cause: Cause = { id: "not-walked", namespace, what, evidence: [] };
        return { at: "lost", cause, trail: next, frame, unknown: true };
      }
      if (outcome.verdict === "accept") {
        const { mark, ttl, tos } = outcome.packet;
        const marked = { ...packet, mark, ttl, tos };
        const kept = packet.arp === undefined ? { packet: marked } : { arp: marked };
        return { at: "device", place, frame: { ...frame, ...kept }, trail: next };
      }
      const cause = causeOf(namespace, hook, between, packet, outcome);
      const sure = outcome.verdict === "drop" || outcome.verdict === "reject";
      return { at: "lost", cause, trail: next, frame, ...(sure ? {} : { unknown: true }) };
    });
  }

  /** What br_netfilter asks the IP rules of a bridge's frames. */
  #bridgeRules(
    hook: "prerouting" | "forward" | "postrouting",
    bridge: Place,
    ports: { readonly in?: string; readonly out?: string },
    frame: Frame,
    trail: Trail,
  ): readonly Arrival[] | undefined {
    const { packet } = frame;
    const { namespace, device } = bridge;
    if (packet === undefined || !asksRules(bridge, packet)) return undefined;
    const first = hook === "prerouting";
    const known = first
      ? tracked(trail, namespace, forgotten(packet, trail.steps.at(-1)?.namespace === namespace))
      : packet;
    const found: Arrival[] = [];
    const ends = this.#rules(trail, hook, namespace, known, {
      ...(hook === "postrouting" ? {} : { in: device.name }),
      ...(hook === "prerouting" ? {} : { out: device.name }),
      ...(ports.in === undefined || hook === "postrouting" ? {} : { portIn: ports.in }),
      ...(ports.out === undefined ? {} : { portOut: ports.out }),
    }, (next, after) => {
      const kept = hook === "postrouting" ? confirmed(next, namespace, after) : next;
      found.push({
        ...{ at: "device", place: bridge, frame: { ...frame, packet: after }, trail: kept },
        prerouted: true,
      });
      return [];
    });
    const lostOnes = ends.flatMap(({ cause, trail: way, verdict }): Arrival[] =>
      cause === undefined
        ? []
        : [{ at: "lost", cause, trail: way, frame, unknown: verdict === "unknown" }]
    );
    return [...found, ...lostOnes];
  }
}

/** What stands for ARP in a tunnel, where only its length counts. */
function asked({ about }: Frame): Packet {
  const any: Address = about ?? { family: 4, bits: 0n };
  return firstPacket({ source: any, destination: any, protocol: PROTOCOLS.ip, length: ARP_BYTES });
}

/** The trail with the connection that IPVS has begun. */
function keeping(trail: Trail, { key }: Namespace, { served }: Outcome): Trail {
  return served === undefined
    ? trail
    : { ...trail, served: [...trail.served, { ...served, namespace: key }] };
}

function lengthOfWay(ends: readonly End[]): number {
  return Math.max(0, ...ends.map(({ trail }) => trail.steps.length));
}

function asksRules({ namespace, device }: Place, packet: Packet): boolean {
  const four = packet.source.family === 4;
  const setting = four ? "bridge-nf-call-iptables" : "bridge-nf-call-ip6tables";
  const own = device.link.linkinfo?.info_data?.[four ? "nf_call_iptables" : "nf_call_ip6tables"];
  return namespace.setting(`net/bridge/${setting}`) > 0 || own === 1;
}

/** The rules that decide are not in the snapshot. */
function unknownRules(namespace: Namespace, packet: Packet): Cause | undefined {
  const parts = packet.source.family === 4 ? ["iptablesLegacy", "nft"] : ["ip6tablesLegacy", "nft"];
  for (const part of parts) {
    const because = namespace.lacks(part);
    if (because !== undefined) return lacking(namespace, part, because);
  }
  return undefined;
}

/** What a policy asks for is not recorded, only that there is one; it is asked at these hooks. */
function ofIpsec(namespace: Namespace, hook: Hook): string[] {
  const { policies } = namespace.snapshot.xfrm ?? { policies: 0 };
  if (policies === 0 || hook !== "postrouting" && hook !== "input") return [];
  const many = policies === 1 ? "the policy" : `none of the ${policies} policies`;
  return [
    `${many} of IPsec in ${namespace.label} ${policies === 1 ? "does not hold" : "holds"} for it`,
  ];
}

function tooLong(
  namespace: Namespace,
  device: string,
  mtu: number,
  packet: Packet,
  route: Route,
): Cause {
  return {
    id: "mtu-icmp",
    namespace,
    device,
    what: `a packet of ${packet.length} bytes is longer than the ${mtu} that fit through ` +
      `"${device}", and must not be cut into fragments`,
    evidence: [
      { kind: "device", text: `${device} mtu ${namespace.device(device)?.mtu ?? mtu}` },
      { kind: "route", text: route.text },
    ],
    confirm: namespace.command(`ip link show dev ${shellWord(device)}`),
    fix: "let ICMP pass that says so to the sender, or give both ends this MTU",
  };
}

/** The source that the kernel would choose for a destination. */
export function preferredSource(
  namespace: Namespace,
  destination: Address,
  protocol: number,
): Address | undefined {
  const found = lookup(namespace, {
    ...{ destination, protocol, tos: 0, mark: 0, uid: 0, inDevice: "lo" },
  });
  const hop = found.found === "route" ? found.hops[0] : undefined;
  if (found.found !== "route" || hop === undefined) return undefined;
  return sourceFor(namespace, found.route, hop, destination);
}
