/**
 * Who answers for the address of the next hop: what the neighbour table has, else who would.
 *
 * Sources: the kernel's `arp_solicit`, `arp_process`, `ndisc_recv_ns`.
 *
 * @module
 */
import { type Address, formatAddress, inPrefix, sameAddress } from "../packet/address.ts";
import { arpPacket, type Packet } from "../packet/packet.ts";
import { addressesOf, type Device, SCOPE } from "./device.ts";
import { advertisement, discoveryRefused, solicitation, UNSURE } from "./discovery.ts";
import { type Arrival, BROADCAST, deviceText, type Frame, type Frames } from "./frames.ts";
import { inputFlow, sourceProblem } from "./input_route.ts";
import { isLinkLocal, isLocal, isMulticast, lookup } from "./lookup.ts";
import { keyOf, type Place } from "./network.ts";
import { source4 } from "./source.ts";
import { type Cause, type Evidence, type Learned, START, sysctl } from "./trail.ts";
import { carries, farEndRouted } from "./tunnels.ts";
import { settingName, shellWord } from "./command.ts";

/** Where frames for the next hop go, or why nobody takes them. */
export type Neighbour =
  | {
    readonly found: "address";
    readonly mac: string;
    readonly text: string;
    /** What the one who answered has learnt by being asked. */
    readonly learned?: Learned;
  }
  | { readonly found: "nobody"; readonly cause: Cause; readonly unknown: boolean };

const VALID: readonly string[] = ["REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT", "NOARP"];

/**
 * Finds the hardware addresses for a next hop; several, if several answer. Discovery of IPv6 is
 * packets, so bridges ask the rules about it where `frames` has them.
 */
export function neighbours(
  frames: Frames,
  place: Place,
  packet: Packet,
  hop: Address,
  learned: readonly Learned[] = [],
): readonly Neighbour[] {
  const { namespace, device } = place;
  if (!device.resolves) return [{ found: "address", mac: "", text: "no address is needed" }];
  if (isMulticast(hop)) {
    return [{ found: "address", mac: BROADCAST, text: `${formatAddress(hop)} is multicast` }];
  }
  const before = learned.find((each) =>
    each.namespace === namespace && each.device === device.name && sameAddress(each.address, hop)
  );
  if (before !== undefined) {
    const text = `${formatAddress(hop)} is ${before.mac}, which has asked before`;
    return [{ found: "address", mac: before.mac, text }];
  }
  const entry = namespace.neighbour(device.name, hop);
  const state = entry?.state ?? [];
  const text = formatAddress(hop);
  if (entry?.lladdr !== undefined && state.some((each) => VALID.includes(each))) {
    const mac = entry.lladdr.toLowerCase();
    const fixed = state.some((each) => each === "PERMANENT" || each === "NOARP");
    const known: Neighbour = { found: "address", mac, text: `${text} is ${mac} (${state})` };
    // The kernel asks again in time when one that it has learnt no longer answers.
    if (fixed || taken(frames, place, mac)) return [known];
  }
  const answers = ask(frames, place, packet, hop);
  if (answers.by.length > 0) {
    const byMac = new Map(answers.by.map((other) => [other.device.mac, other]));
    return [...byMac].map(([mac, other]) => ({
      ...{ found: "address", mac, text: `${text} answers as ${mac}` },
      learned: {
        ...{ namespace: other.namespace, device: other.device.name },
        ...{ address: answers.sender, mac: device.mac },
      },
    }));
  }
  const refusal = answers.unsure ?? answers.refusal;
  if (refusal !== undefined) {
    const unknown = refusal.id === UNSURE;
    const what = `${unknown ? "whether anybody" : "nobody"} answers for ${text}` +
      `${unknown ? " is not known" : ""}: ${refusal.what}`;
    return [{ found: "nobody", cause: { ...refusal, what }, unknown }];
  }
  const evidence: Evidence[] = [{
    kind: "neighbour",
    text: entry === undefined
      ? `no entry for ${text} on ${device.name}`
      : `${text} dev ${device.name} ${entry.lladdr ?? ""} ${state.join(" ")}`,
  }];
  const failed = state.includes("FAILED");
  const unknown = answers.outside && !failed;
  const cause: Cause = {
    id: unknown ? "leaves-snapshot" : "neighbour-unresolved",
    namespace,
    device: device.name,
    what: unknown
      ? `${text} is beyond "${device.name}", and no snapshot has it`
      : answers.because ?? `nobody answers for ${text} on "${device.name}"`,
    evidence,
    confirm: namespace.command(`ip neighbour show ${text} dev ${shellWord(device.name)}`),
    ...(unknown
      ? { fix: "collect a snapshot of the node that has it, too" }
      : { fix: answers.fix ?? `see that ${text} is there, or correct the route that names it` }),
  };
  return [{ found: "nobody", cause, unknown }];
}

/** Whether a frame for the address gets anywhere. */
function taken(frames: Frames, place: Place, mac: string): boolean {
  const frame: Frame = { source: place.device.mac, destination: mac };
  return frames.transmit(place, frame, START).some(({ at }) => at !== "lost");
}

interface Answers {
  readonly by: readonly Place[];
  /** From which address it was asked. */
  readonly sender: Address;
  /** The question leaves what is known. */
  readonly outside: boolean;
  /** Why one that has the address does not answer. */
  readonly refusal?: Cause;
  /** The rule of a bridge of which it is not known what it does with the question. */
  readonly unsure?: Cause;
  readonly because?: string;
  /** What would let the question come to somebody, if that is known. */
  readonly fix?: string;
}

function ask(frames: Frames, place: Place, packet: Packet, hop: Address): Answers {
  const sender = askingAddress(place, packet, hop);
  const frame: Frame = {
    ...{ source: place.device.mac, destination: BROADCAST, about: hop },
    ...(hop.family === 6
      ? { packet: solicitation(sender, hop) }
      : { arp: arpPacket("request", sender, hop) }),
  };
  const reached = everywhere(frames, frames.transmit(place, frame, START), frame);
  const by: Place[] = [];
  const refusals: Cause[] = [];
  for (const other of reached.places) {
    if (other.namespace === place.namespace && other.device === place.device) continue;
    const answer = answers(other, hop, sender);
    if (answer === false) continue;
    const refusal = answer === true ? unheard(frames, place, other, hop, sender) : answer;
    if (refusal === undefined) by.push(other);
    else refusals.push(refusal);
  }
  const alone = reached.places.length === 0 && !reached.outside;
  const [refusal = alone ? reached.stopped[0] : undefined] = refusals;
  const lost = alone ? reached.lost[0] : undefined;
  const because = alone ? lost && whatElsewhere(lost, place) : reached.ruled;
  return {
    by,
    sender,
    outside: reached.outside,
    ...(refusal === undefined ? {} : { refusal }),
    ...(reached.unsure === undefined ? {} : { unsure: reached.unsure }),
    ...(because === undefined
      ? {}
      : { because: `nobody answers for ${formatAddress(hop)}: ${because}` }),
    ...(lost?.fix === undefined ? {} : { fix: lost.fix }),
  };
}

/** What is wrong, and where, if that is not where the question comes from. */
function whatElsewhere({ namespace, what }: Cause, from: Place): string {
  return namespace === from.namespace ? what : `in ${namespace.label}, ${what}`;
}

/** All devices that a question reaches, through vxlan and between the nodes too. */
function everywhere(
  frames: Frames,
  arrivals: readonly Arrival[],
  frame: Frame,
): {
  places: Place[];
  lost: Cause[];
  stopped: Cause[];
  unsure?: Cause;
  ruled?: string;
  outside: boolean;
} {
  const places: Place[] = [];
  const lost: Cause[] = [];
  // By rules of a bridge, or by what befell the packets around it in tunnels.
  const stopped: Cause[] = [];
  let outside = false;
  let unsure: Cause | undefined;
  let ruled: string | undefined;
  const seen = new Set<string>();
  const open = [...arrivals];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    if (each.at === "lost") {
      lost.push(each.cause);
      if (each.unknown === true) outside = true;
      if (each.cause.id === "netfilter-drop") {
        stopped.push(each.cause);
        ruled ??= each.cause.what;
      }
      if (each.unknown === true && each.cause.id === UNSURE) unsure ??= each.cause;
      continue;
    }
    const key = `${each.at} ${keyOf(each.place)}`;
    if (seen.has(key)) continue;
    seen.add(key);
    if (each.at === "device") places.push(each.place);
    else if (each.at === "tunnel") {
      const carried = frames.routed?.carried(each.place, each.frame);
      stopped.push(...carried?.lost ?? []);
      if (carried?.unknown === true) outside = true;
      for (const far of carried?.places ?? carries(frames.network, each.place)) {
        open.push(...frames.receive(far, frame, START));
      }
    } else {
      outside = true;
      for (const far of frames.network.beyond(each.place.namespace.node)) {
        open.push(...frames.receive(far, frame, START));
      }
    }
  }
  return {
    ...{ places, lost, stopped, outside },
    ...(unsure === undefined ? {} : { unsure }),
    ...(ruled === undefined ? {} : { ruled }),
  };
}

/** From which address is asked: the packet's own, where it is one of this namespace. */
function askingAddress({ namespace, device }: Place, packet: Packet, hop: Address): Address {
  if (hop.family === 6) {
    const own = addressesOf(device, 6);
    const sends = own.some(({ address }) => sameAddress(address, packet.source));
    return sends ? packet.source : own.find(({ address }) => isLinkLocal(address))?.address ??
      packet.source;
  }
  const announce = namespace.most(4, device.name, "arp_announce");
  const own = isLocal(namespace, packet.source);
  if (own && announce === 0) return packet.source;
  if (own && announce === 1) {
    const near = addressesOf(device, 4).some((each) =>
      inPrefix(hop, each) && inPrefix(packet.source, each)
    );
    if (near) return packet.source;
  }
  return source4(namespace, device, hop, SCOPE.link) ?? packet.source;
}

/** Why an answer does not get back to the device that asked; undefined if it does. */
function unheard(
  frames: Frames,
  asking: Place,
  other: Place,
  hop: Address,
  sender: Address,
): Cause | undefined {
  // An ARP reply goes to who asked; an advertisement to whom the neighbour table says.
  const entry = hop.family === 6 ? other.namespace.neighbour(other.device.name, sender) : undefined;
  const fixed = entry?.state?.includes("PERMANENT") === true ? entry.lladdr : undefined;
  const frame: Frame = {
    source: other.device.mac,
    destination: fixed?.toLowerCase() ?? asking.device.mac,
    ...(hop.family === 6
      ? { packet: advertisement(sender, hop) }
      : { arp: arpPacket("reply", hop, sender) }),
  };
  const back = frames.transmit(other, frame, START);
  const lost = back.find((each) => each.at === "lost");
  const through = back.flatMap((each) =>
    each.at === "tunnel" ? frames.routed?.carried(each.place, frame) ?? [] : []
  );
  const home = back.some((each) =>
    each.at === "tunnel" && farEndRouted(frames.network, each.place, frame.destination) ||
    each.at === "beyond" ||
    each.at === "device" && keyOf(each.place) === keyOf(asking)
  );
  const stopped = through.every(({ places, unknown }) => places.length === 0 && !unknown)
    ? through.flatMap((each) => each.lost).find(({ id }) => id !== "tunnel-no-remote")
    : undefined;
  if (stopped !== undefined) return stopped;
  if (!home) {
    if (lost?.at === "lost") return lost.cause;
    const { namespace, device } = asking;
    return {
      id: "neighbour-unresolved",
      namespace,
      device: device.name,
      what: `the answer of ${formatAddress(hop)} does not get back to "${device.name}"` +
        (device.link.master === undefined ? "" : `, a port of "${device.link.master}"`),
      evidence: [{ kind: "device", text: deviceText(device) }],
      confirm: namespace.command(`ip -d link show dev ${shellWord(device.name)}`),
      fix: "correct the route that leads to this device",
    };
  }
  return discoveryRefused(asking, other, hop, sender);
}

/** Whether a device answers; or why one that might does not. */
function answers({ namespace, device }: Place, hop: Address, sender: Address): boolean | Cause {
  if (!device.resolves) return false;
  return hop.family === 4
    ? answers4(namespace, device, hop, sender)
    : answers6(namespace, device, hop);
}

function answers4(
  namespace: Place["namespace"],
  device: Device,
  hop: Address,
  sender: Address,
): boolean | Cause {
  const question = {
    ...{ source: sender, destination: hop, protocol: 0, tos: 0, mark: 0 },
  };
  const local = isLocal(namespace, hop);
  const proxied = namespace.proxies(device.name, hop);
  const proxies = namespace.most(4, device.name, "proxy_arp") > 0;
  if (!local && !proxied && !proxies) return false;
  const disbelief = sourceProblem(namespace, device, question);
  if (disbelief !== undefined) return disbelief;
  const found = lookup(namespace, flowOf(namespace, device, question));
  if (found.found !== "route") return false;
  if (found.route.type === "local") {
    return ignores(namespace, device, hop, sender) ? silent(namespace, device, hop) : true;
  }
  if (namespace.own(4, device.name, "forwarding") === 0 || found.route.type !== "unicast") {
    return false;
  }
  const out = found.hops.map((each) => each.device);
  return (proxies || proxied) && !out.includes(device.name);
}

function silent(namespace: Place["namespace"], device: Device, hop: Address): Cause {
  const path = (name: string) => `net/ipv4/conf/${device.name}/${name}`;
  return {
    id: "neighbour-unresolved",
    namespace,
    device: device.name,
    what: `arp_ignore or arp_filter keeps "${device.name}" from answering for ` +
      formatAddress(hop),
    evidence: [sysctl(namespace, path("arp_ignore")), sysctl(namespace, path("arp_filter"))],
    confirm: namespace.command(`sysctl ${shellWord(settingName(path("arp_ignore")))}`),
    fix: namespace.command(`sysctl -w ${shellWord(settingName(path("arp_ignore")))}=0`),
  };
}

function flowOf(
  namespace: Place["namespace"],
  device: Device,
  question: Pick<Packet, "source" | "destination" | "protocol" | "tos" | "mark">,
) {
  const { source, destination, protocol, tos, mark } = question;
  const vrf = namespace.vrf(device);
  return {
    ...{ source, destination, protocol, tos, mark, uid: 0, inDevice: device.name },
    ...(vrf === undefined ? {} : { vrf }),
  } satisfies ReturnType<typeof inputFlow>;
}

/** `arp_ignore()` and `arp_filter()`. */
function ignores(
  namespace: Place["namespace"],
  device: Device,
  hop: Address,
  sender: Address,
): boolean {
  const level = namespace.most(4, device.name, "arp_ignore");
  const own = addressesOf(device, 4).filter(({ address }) => sameAddress(address, hop));
  if (level === 1 && own.length === 0) return true;
  if (level === 2 && !own.some((each) => inPrefix(sender, each))) return true;
  if (level === 3 && own.every(({ scope }) => scope >= SCOPE.host)) return true;
  if (level === 8) return true;
  if (namespace.most(4, device.name, "arp_filter") === 0) return false;
  const back = lookup(namespace, {
    ...{ source: hop, destination: sender, protocol: 0, tos: 0, mark: 0, uid: 0, inDevice: "lo" },
  });
  return back.found !== "route" || !back.hops.some((each) => each.device === device.name);
}

function answers6(namespace: Place["namespace"], device: Device, hop: Address): boolean | Cause {
  if (namespace.own(6, device.name, "disable_ipv6") > 0) return false;
  if (addressesOf(device, 6).some(({ address }) => sameAddress(address, hop))) return true;
  if (
    namespace.own(6, device.name, "proxy_ndp") === 0 && namespace.own(6, "all", "proxy_ndp") === 0
  ) {
    return false;
  }
  return namespace.proxies(device.name, hop) && namespace.own(6, "all", "forwarding") > 0;
}
