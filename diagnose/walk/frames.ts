/**
 * Frames between devices: cables, bridges, VLANs, and what stands on another device. No IP here but
 * for what bridges ask netfilter.
 *
 * Sources: the kernel's `br_handle_frame_finish`, `br_flood`, `should_deliver`,
 * `macvlan_handle_frame`.
 *
 * @module
 */
import type { Address } from "../packet/address.ts";
import { sameAddress } from "../packet/address.ts";
import type { Packet } from "../packet/packet.ts";
import { bridgeVlans, egressVlan, ingressVlan } from "./bridge_vlans.ts";
import { attribute, type Device, portAttribute } from "./device.ts";
import { keyOf, type Network, type Place } from "./network.ts";
import { met } from "./programs.ts";
import { assuming, type Cause, type CauseId, stepped, type Trail } from "./trail.ts";
import { shellWord } from "./command.ts";

/** To everyone. */
export const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** A frame on its way. */
export interface Frame {
  readonly source: string;
  readonly destination: string;
  readonly vlan?: number;
  /** Absent of ARP, which like all that asks for a neighbour is `about` an address. */
  readonly packet?: Packet;
  /** What rules of a bridge see of ARP. */
  readonly arp?: Packet;
  readonly about?: Address;
}

/** Where a frame gets to. */
export type Arrival =
  | {
    readonly at: "device" | "tunnel" | "beyond";
    readonly place: Place;
    readonly frame: Frame;
    readonly trail: Trail;
    /** A bridge has asked the rules of prerouting already. */
    readonly prerouted?: boolean;
  }
  | {
    readonly at: "lost";
    readonly cause: Cause;
    readonly trail: Trail;
    readonly frame: Frame;
    readonly unknown?: boolean;
  };

/** Where frames come out of a tunnel, and why not. */
export interface Carried {
  readonly places: readonly Place[];
  readonly lost: readonly Cause[];
  /** Something that is not known decides. */
  readonly unknown: boolean;
}

/** Where a bridge asks rules of its own family. */
export type BridgeHook = "prerouting" | "input" | "forward" | "output" | "postrouting";

/** What frames meet that is IP's: br_netfilter, and the packets around them in tunnels. */
export interface Routed {
  /** The far ends of a tunnel that a frame for a neighbour gets to. */
  carried(tunnel: Place, frame: Frame): Carried;
  /** What rules of the family `bridge` say; undefined where there are none. */
  own(
    hook: BridgeHook,
    bridge: Place,
    ports: { readonly in?: string; readonly out?: string },
    frame: Frame,
    trail: Trail,
  ): readonly Arrival[] | undefined;
  /** What rules at a device say; undefined where there are none. */
  atDevice(
    hook: "ingress" | "egress",
    place: Place,
    frame: Frame,
    trail: Trail,
  ): readonly Arrival[] | undefined;
  /** Undefined where no rules are asked. */
  rules(
    hook: "prerouting" | "forward" | "postrouting",
    bridge: Place,
    ports: { readonly in?: string; readonly out?: string },
    frame: Frame,
    trail: Trail,
  ): readonly Arrival[] | undefined;
  /** The frame to whom it belongs now that a rule has changed the packet's destination. */
  redirected(bridge: Place, frame: Frame, trail: Trail): readonly Arrival[];
}

type Passed = Extract<Arrival, { at: "device" | "tunnel" | "beyond" }>;

/** A frame that goes round is lost; these are devices it passes. */
const DEVICES_PASSED_MAX = 64;
/** Devices that it and its copies pass: where bridges are in a loop, each turn doubles them. */
const COPIES_PASSED_MAX = 20_000;

/** Moves frames. */
export class Frames {
  #copies = 0;

  /** Without what is IP's, bridges ask nobody. */
  constructor(readonly network: Network, readonly routed?: Routed) {}

  /** What becomes of a frame that a device sends. */
  transmit(place: Place, frame: Frame, before: Trail, passed = 0): readonly Arrival[] {
    return this.#counted(passed, () => this.#transmit(place, frame, before, passed));
  }

  /** What becomes of a frame that a device receives. */
  receive(place: Place, frame: Frame, before: Trail, passed = 0): readonly Arrival[] {
    return this.#counted(passed, () => this.#receive(place, frame, before, passed));
  }

  /** Each frame that is new has its own count; one that others wait for counts for them, too. */
  #counted(passed: number, move: () => readonly Arrival[]): readonly Arrival[] {
    if (passed > 0) return move();
    const before = this.#copies;
    this.#copies = 0;
    const found = move();
    this.#copies += before;
    return found;
  }

  #goesRound(passed: number): boolean {
    return passed > DEVICES_PASSED_MAX || ++this.#copies > COPIES_PASSED_MAX;
  }

  #transmit(place: Place, frame: Frame, before: Trail, passed: number): readonly Arrival[] {
    const { device } = place;
    if (!device.up) return [lostDown(place, frame, before)];
    if (this.#goesRound(passed)) return [this.#round(place, frame, before)];
    const trail = programmed("out", place, frame, before);
    if ("at" in trail) return [trail];
    const send = (next: Pick<Passed, "frame" | "trail">) =>
      this.#send(place, next.frame, next.trail, passed);
    // Those of the device that the packet was handed to have been asked.
    if (passed === 0) return send({ frame, trail });
    return this.#atDevice("egress", place, frame, trail, send);
  }

  #send(place: Place, frame: Frame, trail: Trail, passed: number): readonly Arrival[] {
    const { device } = place;
    const lower = () => this.network.linked(place);
    switch (device.kind) {
      case "loopback":
        return this.receive(place, frame, trail, passed + 1);
      case "veth":
        return this.#cable(place, frame, trail, passed);
      case "bridge":
        return this.#forward(place, undefined, frame, trail, passed);
      case "vlan": {
        const id = Number(attribute(device, "id"));
        return this.#through(lower(), place, { ...frame, vlan: id }, trail, passed);
      }
      case "macvlan":
      case "macvtap":
        return this.#sideways(place, frame, trail, passed);
      case "ipvlan":
        return this.#sideways(place, frame, trail, passed);
      case "bond":
      case "team":
        return this.#bonded(place, frame, trail, passed);
      case "physical":
        if (!device.carrier) return [lostCarrier(place, frame, trail)];
        return [{ at: "beyond", place, frame, trail }];
      case "dummy":
      case "ifb":
      case "nlmon":
        return [lost(place, frame, trail, "device-swallows", {
          what: `the device "${device.name}" is a ${device.kind}, which swallows what it is given`,
        })];
      default:
        return [{ at: "tunnel", place, frame, trail }];
    }
  }

  #receive(place: Place, frame: Frame, before: Trail, passed: number): readonly Arrival[] {
    const { namespace, device } = place;
    if (!device.up) return [lostDown(place, frame, before)];
    if (this.#goesRound(passed)) return [this.#round(place, frame, before)];
    const trail = programmed("in", place, frame, before);
    if ("at" in trail) return [trail];
    const master = namespace.device(device.link.master)?.kind ?? "";
    const goesOn = ["bridge", "bond", "team"].includes(master) ||
      this.network.uppers(place).some((upper) => takes(upper.device, frame));
    // Where it is for the device itself, they are asked when the packet arrives.
    if (!goesOn) return this.#pass(place, frame, trail, passed);
    return this.#atDevice(
      "ingress",
      place,
      frame,
      trail,
      (next) => this.#pass(place, next.frame, next.trail, passed),
    );
  }

  /** To what stands on the device, or it is a part of, else to itself. */
  #pass(place: Place, frame: Frame, trail: Trail, passed: number): readonly Arrival[] {
    const { namespace, device } = place;
    const everyone = frame.destination === BROADCAST;
    const found: Arrival[] = [];
    for (const upper of this.network.uppers(place)) {
      if (!takes(upper.device, frame)) continue;
      const { vlan: _, ...untagged } = frame;
      const inner = upper.device.kind === "vlan" ? untagged : frame;
      found.push(...this.receive(upper, inner, trail, passed + 1));
      if (!everyone) return found;
    }
    const master = namespace.device(device.link.master);
    const above = master === undefined ? undefined : { namespace, device: master };
    if (above?.device.kind === "bridge") {
      return [...found, ...this.#bridged(above, place, frame, trail, passed)];
    }
    if (above !== undefined && ["bond", "team"].includes(above.device.kind)) {
      return [...found, ...this.receive(above, frame, trail, passed + 1)];
    }
    if (frame.vlan !== undefined && frame.vlan !== 0) return found;
    const own = everyone || !device.resolves || frame.destination === device.mac;
    if (own) found.push({ at: "device", place, frame, trail });
    return found;
  }

  #round(place: Place, frame: Frame, trail: Trail): Arrival {
    return lost(place, frame, trail, "too-many-steps", {
      what: "the frame goes round in a loop of bridges",
    }, true);
  }

  #through(
    lower: Place | undefined,
    place: Place,
    frame: Frame,
    trail: Trail,
    passed: number,
  ): readonly Arrival[] {
    if (lower === undefined) return [this.#elsewhere(place, frame, trail)];
    if (!lower.device.up) return [lostDown(lower, frame, trail)];
    return this.transmit(lower, frame, trail, passed + 1);
  }

  #elsewhere(place: Place, frame: Frame, trail: Trail): Arrival {
    return lost(place, frame, trail, "leaves-snapshot", {
      what: `the other end of "${place.device.name}" is in a namespace that no snapshot has`,
      fix: "collect all namespaces of the node",
    }, true);
  }

  #cable(place: Place, frame: Frame, trail: Trail, passed: number): readonly Arrival[] {
    const peer = this.network.linked(place);
    if (peer === undefined) return [this.#elsewhere(place, frame, trail)];
    if (!peer.device.up) return [lostDown(peer, frame, trail)];
    const tooLong = oversize(peer, frame, trail);
    if (tooLong !== undefined) return [tooLong];
    return this.receive(peer, frame, trail, passed + 1);
  }

  /** Between devices that stand on the same one, or out by it; never to the one below itself. */
  #sideways(place: Place, frame: Frame, trail: Trail, passed: number): readonly Arrival[] {
    const lower = this.network.linked(place);
    if (lower === undefined) return [this.#elsewhere(place, frame, trail)];
    if (!lower.device.up) return [lostDown(lower, frame, trail)];
    const mode = String(attribute(place.device, "mode") ?? "");
    const found: Arrival[] = [];
    if (mode === "bridge" || place.device.kind === "ipvlan") {
      for (const sibling of this.network.uppers(lower)) {
        if (keyOf(sibling) === keyOf(place) || sibling.device.kind !== place.device.kind) continue;
        if (!takes(sibling.device, frame)) continue;
        const arrivals = this.receive(sibling, frame, trail, passed + 1);
        if (frame.destination !== BROADCAST) return arrivals;
        found.push(...arrivals);
      }
    }
    return [...found, ...this.transmit(lower, frame, trail, passed + 1)];
  }

  #bonded(place: Place, frame: Frame, trail: Trail, passed: number): readonly Arrival[] {
    const ports = this.network.ports(place);
    const usable = ports.filter(({ device }) => device.up && device.carrier);
    const active = attribute(place.device, "active_slave");
    const port = usable.find(({ device }) => device.name === active) ?? usable[0];
    if (port !== undefined) return this.transmit(port, frame, trail, passed + 1);
    return [lost(place, frame, trail, "no-carrier", {
      what: `none of the ${ports.length} ports of "${place.device.name}" is up`,
    })];
  }

  #bridged(
    bridge: Place,
    port: Place,
    frame: Frame,
    trail: Trail,
    passed: number,
  ): readonly Arrival[] {
    const state = portAttribute(port.device, "state");
    if (state !== undefined && state !== "forwarding") {
      return [lost(port, frame, trail, "bridge-port", {
        what: `the bridge "${bridge.device.name}" does not forward from the port ` +
          `"${port.device.name}": its state is ${state}`,
        confirm: port.namespace.command(`bridge link show dev ${shellWord(port.device.name)}`),
      })];
    }
    if (!bridge.device.up) return [lostDown(bridge, frame, trail)];
    const locked = lockedOut(bridge, port, frame, trail);
    if (locked !== undefined) return [locked];
    const vlan = ingressVlan(bridge, port.device.name, frame.vlan);
    if (vlan === "refused") return [vlanLost(port, bridge, frame, trail)];
    const tagged = vlan === undefined ? frame : { ...frame, vlan };
    const ports = { in: port.device.name };
    return this.#asked("prerouting", bridge, ports, tagged, trail, (next) => {
      const redirected = next.frame.packet !== undefined && frame.packet !== undefined &&
        !sameAddress(next.frame.packet.destination, frame.packet.destination);
      if (!redirected) {
        return this.#forward(bridge, port, next.frame, next.trail, passed, next.prerouted);
      }
      const elsewhere = this.routed?.redirected(bridge, next.frame, next.trail) ?? [next];
      return elsewhere.flatMap((each) =>
        each.at === "lost"
          ? [each]
          : this.#forward(bridge, port, each.frame, each.trail, passed, next.prerouted)
      );
    });
  }

  /** To the port that has the address, to all where none is known to, or up to the bridge. */
  #forward(
    bridge: Place,
    from: Place | undefined,
    frame: Frame,
    trail: Trail,
    passed: number,
    prerouted = false,
  ): readonly Arrival[] {
    const ports = this.network.ports(bridge);
    const up = () => {
      const { vlan, ...rest } = frame;
      const seen = bridgeVlans(bridge) ? egressVlan(bridge, bridge.device.name, vlan) : vlan;
      if (seen === "refused") return [];
      const to: Frame = seen === undefined ? rest : { ...rest, vlan: seen };
      const ports = from === undefined ? {} : { in: from.device.name };
      return this.#asked(
        "input",
        bridge,
        ports,
        to,
        trail,
        (next) =>
          this.#above(bridge, next.frame, next.trail, passed + 1)
            .map((each) => each.at === "device" && prerouted ? { ...each, prerouted } : each),
      );
    };
    if (frame.destination !== BROADCAST) {
      const own = frame.destination === bridge.device.mac ||
        ports.some(({ device }) => device.mac === frame.destination);
      if (own) return from === undefined ? [] : up();
      const known = portOf(bridge, frame);
      const port = ports.find(({ device }) => device.name === known);
      if (port !== undefined) return this.#leave(bridge, from, port, frame, trail, passed);
    }
    const everyone = frame.destination === BROADCAST;
    const many = frame.about?.family === 6 ? "mcast_flood" : "bcast_flood";
    const flag = everyone ? many : "flood";
    // The bridge's own questions go everywhere (`br_flood`).
    const free = everyone && from === undefined;
    const found = ports.filter(({ device }) =>
      device.name !== from?.device.name || portAttribute(device, "hairpin") === true
    ).filter(({ device }) => free || portAttribute(device, flag) !== false)
      .flatMap((port) => this.#leave(bridge, from, port, frame, trail, passed));
    if (everyone) return [...found, ...(from === undefined ? [] : up())];
    // Of a frame that is sent everywhere, only where it is taken counts.
    const taken = found.filter(({ at }) => at === "device" || at === "tunnel");
    const outside = found.filter(({ at }) => at === "beyond");
    return taken.length > 0 ? taken : outside.length > 0 ? outside : found;
  }

  /** What a bridge gives itself: as `receive`, but no bridge is above a bridge. */
  #above(bridge: Place, frame: Frame, trail: Trail, passed: number): readonly Arrival[] {
    const mine = frame.destination === BROADCAST ? frame : {
      ...frame,
      destination: this.#owns(bridge, frame) ? bridge.device.mac : frame.destination,
    };
    return this.receive(bridge, mine, trail, passed);
  }

  #owns(bridge: Place, { destination }: Frame): boolean {
    return this.network.ports(bridge).some(({ device }) => device.mac === destination);
  }

  #leave(
    bridge: Place,
    from: Place | undefined,
    port: Place,
    frame: Frame,
    trail: Trail,
    passed: number,
  ): readonly Arrival[] {
    const is = (device: Device | undefined, name: string) =>
      device !== undefined && portAttribute(device, name) === true;
    if (from?.device === port.device && !is(port.device, "hairpin")) {
      return [lost(port, frame, trail, "bridge-port", {
        what: `the bridge "${bridge.device.name}" would send it back through the port ` +
          `"${port.device.name}" that it came by, which takes hairpin mode`,
        fix: port.namespace.command(
          `bridge link set dev ${shellWord(port.device.name)} hairpin on`,
        ),
      })];
    }
    if (is(from?.device, "isolated") && is(port.device, "isolated")) {
      return [lost(port, frame, trail, "bridge-isolated", {
        what: `the ports "${from?.device.name}" and "${port.device.name}" of the bridge ` +
          `"${bridge.device.name}" are isolated from each other`,
        fix: port.namespace.command(
          `bridge link set dev ${shellWord(port.device.name)} isolated off`,
        ),
      })];
    }
    const state = portAttribute(port.device, "state");
    if (!port.device.up) return [lostDown(port, frame, trail)];
    if (state !== undefined && state !== "forwarding") {
      return [lost(port, frame, trail, "bridge-port", {
        what: `the bridge "${bridge.device.name}" does not forward to the port ` +
          `"${port.device.name}": its state is ${state}`,
        confirm: port.namespace.command(`bridge link show dev ${shellWord(port.device.name)}`),
      })];
    }
    const vlan = egressVlan(bridge, port.device.name, frame.vlan);
    if (vlan === "refused") return [vlanLost(port, bridge, frame, trail)];
    const { vlan: _, ...rest } = frame;
    const out: Frame = vlan === undefined ? rest : { ...rest, vlan };
    const tooLong = oversize(port, out, trail);
    if (tooLong !== undefined) return [tooLong];
    const send = (next: Passed) =>
      this.transmit(port, next.frame, bridgedStep(bridge, from, port, next), passed + 1);
    const ports = {
      ...(from === undefined ? {} : { in: from.device.name }),
      out: port.device.name,
    };
    // What the bridge's own namespace sends has been asked about as IP already.
    return this.#asked(
      from === undefined ? "output" : "forward",
      bridge,
      ports,
      out,
      trail,
      (next) => this.#asked("postrouting", bridge, ports, next.frame, next.trail, send),
    );
  }

  #atDevice(
    hook: "ingress" | "egress",
    place: Place,
    frame: Frame,
    trail: Trail,
    go: (next: Passed) => readonly Arrival[],
  ): readonly Arrival[] {
    const as = { at: "device", place, frame, trail } as const;
    const asked = this.routed?.atDevice(hook, place, frame, trail) ?? [as];
    return asked.flatMap((each) => each.at === "lost" ? [each] : go(each));
  }

  #asked(
    hook: BridgeHook,
    bridge: Place,
    ports: { readonly in?: string; readonly out?: string },
    frame: Frame,
    trail: Trail,
    go: (next: Passed) => readonly Arrival[],
  ): readonly Arrival[] {
    const as = { at: "device", place: bridge, frame, trail } as const;
    if (frame.packet === undefined && frame.arp === undefined) return go(as);
    const own = this.routed?.own(hook, bridge, ports, frame, trail) ?? [as];
    return own.flatMap((each) => {
      if (each.at === "lost") return [each];
      const asked = hook === "input" || hook === "output" || ports.in === undefined
        ? undefined
        : this.routed?.rules(hook, bridge, ports, each.frame, each.trail);
      return (asked ?? [each]).flatMap((next) => next.at === "lost" ? [next] : go(next));
    });
  }
}

/** The trail behind a device's programs and filters, or that they end it. */
function programmed(
  way: "in" | "out",
  place: Place,
  frame: Frame,
  trail: Trail,
): Trail | Extract<Arrival, { at: "lost" }> {
  if (frame.packet === undefined || frame.about !== undefined) return trail;
  const { assumptions, stopped } = met(way, place, frame.packet);
  const next = assuming(trail, ...assumptions);
  if (stopped === undefined) return next;
  const { cause, unknown } = stopped;
  return { at: "lost", cause, trail: next, frame, ...(unknown ? { unknown } : {}) };
}

function bridgedStep(bridge: Place, from: Place | undefined, port: Place, next: Passed): Trail {
  const { packet } = next.frame;
  if (packet === undefined) return next.trail;
  const ports = from === undefined
    ? `out by the port ${port.device.name}`
    : `from the port ${from.device.name} to ${port.device.name}`;
  return stepped(next.trail, {
    namespace: bridge.namespace,
    does: "bridge",
    device: bridge.device.name,
    text: `bridge ${bridge.device.name}: ${ports}`,
    packet,
  });
}

/** A port that is locked takes frames only of those that the bridge has behind it already. */
function lockedOut(bridge: Place, port: Place, frame: Frame, trail: Trail): Arrival | undefined {
  if (portAttribute(port.device, "locked") !== true) return undefined;
  const { name } = port.device;
  const { fdb } = bridge.namespace.snapshot;
  const known = fdb?.some((entry) =>
    entry.master === bridge.device.name && entry.ifname === name && entry.mac === frame.source &&
    entry.state !== "permanent"
  );
  if (known === true) return undefined;
  return lost(port, frame, trail, "bridge-port", {
    what: `the port "${name}" of the bridge "${bridge.device.name}" is locked, and takes no ` +
      `frames from ${frame.source}`,
    confirm: bridge.namespace.command(`bridge fdb show dev ${shellWord(name)}`),
    fix: `bridge fdb add ${frame.source} dev ${shellWord(name)} master static`,
  }, fdb === undefined);
}

/** The port that the bridge believes an address behind. */
function portOf({ namespace, device }: Place, { destination, vlan }: Frame): string | undefined {
  const entries = (namespace.snapshot.fdb ?? []).filter((entry) =>
    entry.master === device.name && entry.mac === destination &&
    (entry.vlan === undefined || vlan === undefined || entry.vlan === vlan)
  );
  return entries[0]?.ifname;
}

/** Whether a device that stands on another takes a frame that comes to the latter. */
function takes({ kind, mac, addresses, link }: Device, frame: Frame): boolean {
  if (kind === "vlan") return frame.vlan === Number(link.linkinfo?.info_data?.["id"]);
  if (frame.vlan !== undefined && frame.vlan !== 0) return false;
  if (frame.destination === BROADCAST) return true;
  if (kind !== "ipvlan") return frame.destination === mac;
  const towards = frame.about ?? frame.packet?.destination;
  return towards !== undefined && addresses.some(({ address }) => sameAddress(address, towards));
}

/** What a cable or a bridge's port lets pass: a VLAN's tag more than its MTU. */
const TAG_BYTES = 4;

function oversize(place: Place, frame: Frame, trail: Trail): Arrival | undefined {
  const { mtu, name } = place.device;
  const length = frame.packet?.length ?? 0;
  if (length <= mtu + TAG_BYTES) return undefined;
  return lost(place, frame, trail, "mtu-silent", {
    what: `a packet of ${length} bytes is dropped without a word at "${name}", ` +
      `as its MTU is ${mtu}`,
    evidence: [{ kind: "device", text: `${name} mtu ${mtu}` }],
    confirm: place.namespace.command(`ip link show dev ${shellWord(name)}`),
    fix: `give both ends of the cable, and all ports of the bridge, the same MTU`,
  });
}

interface Words {
  readonly what: string;
  readonly evidence?: Cause["evidence"];
  readonly confirm?: string;
  readonly fix?: string;
}

/** A frame that ends at a device. */
export function lost(
  { namespace, device }: Place,
  frame: Frame,
  trail: Trail,
  id: CauseId,
  words: Words,
  unknown = false,
): Arrival {
  const cause: Cause = {
    id,
    namespace,
    device: device.name,
    evidence: [{ kind: "device", text: deviceText(device) }],
    confirm: namespace.command(`ip -d link show dev ${shellWord(device.name)}`),
    ...words,
  };
  return { at: "lost", cause, trail, frame, ...(unknown ? { unknown } : {}) };
}

/** A device as a line of `ip link` begins. */
export function deviceText({ name, index, mtu, link }: Device): string {
  return `${index}: ${name}: <${link.flags.join(",")}> mtu ${mtu}`;
}

function lostDown(place: Place, frame: Frame, trail: Trail): Arrival {
  const { name } = place.device;
  return lost(place, frame, trail, "device-down", {
    what: `the device "${name}" is down`,
    fix: place.namespace.command(`ip link set dev ${shellWord(name)} up`),
  });
}

function lostCarrier(place: Place, frame: Frame, trail: Trail): Arrival {
  const { name } = place.device;
  return lost(place, frame, trail, "no-carrier", {
    what: `the device "${name}" has no carrier: nothing is plugged in at the other end`,
    fix: "look after the cable, or the other end",
  });
}

function vlanLost(port: Place, bridge: Place, frame: Frame, trail: Trail): Arrival {
  const tag = frame.vlan === undefined ? "without a VLAN" : `of VLAN ${frame.vlan}`;
  return lost(port, frame, trail, "bridge-vlan", {
    what: `the port "${port.device.name}" of the bridge "${bridge.device.name}" ` +
      `does not let a frame ${tag} pass`,
    confirm: port.namespace.command(`bridge vlan show dev ${shellWord(port.device.name)}`),
    fix: port.namespace.command(
      `bridge vlan add dev ${shellWord(port.device.name)} vid ${frame.vlan ?? "NUMBER"}`,
    ),
  });
}
