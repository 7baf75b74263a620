/**
 * Tunnels: which packet goes around which, and who takes it off again.
 *
 * @module
 */
import {
  type Address,
  type Family,
  formatAddress,
  parseAddress,
  sameAddress,
} from "../packet/address.ts";
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import { attribute, type Device } from "./device.ts";
import { BROADCAST, deviceText, type Frame } from "./frames.ts";
import { lookup } from "./lookup.ts";
import type { Namespace } from "./namespace.ts";
import type { Network, Place } from "./network.ts";
import type { Cause, Load } from "./trail.ts";
import { peerOf } from "./wireguard.ts";
import { shellWord } from "./command.ts";

/** A packet that goes around another. */
export interface Outer {
  readonly namespace: Namespace;
  readonly source?: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly length: number;
  readonly outDevice?: string;
  readonly ttl?: number;
  readonly load: Load;
}

/** Ethernet's header, and those of UDP and of the tunnel behind it. */
const FRAME_BYTES = 14;
const UDP_TUNNEL_BYTES = 16;
/** Which one is chosen depends on a hash; it is one of the range that the kernel takes. */
const TUNNEL_SOURCE_PORT = 49_152;
/** WireGuard's header and tag, with UDP's header; what is in it is padded. */
const WIREGUARD_BYTES = 40;
const PADDING_BYTES = 16;
const VXLAN_PORT = 4_789;
const GENEVE_PORT = 6_081;

const PLAIN: Readonly<Record<string, number>> = {
  ipip: PROTOCOLS.ipip,
  sit: PROTOCOLS.ipv6,
  gre: PROTOCOLS.gre,
  gretap: PROTOCOLS.gre,
  ip6gre: PROTOCOLS.gre,
  ip6gretap: PROTOCOLS.gre,
};

/** What a tunnel makes of a frame, one for each far end; or why it cannot. */
export function encapsulate(
  network: Network,
  place: Place,
  frame: Frame,
  nextHop: Address | undefined,
): readonly Outer[] | { readonly cause: Cause; readonly unknown: boolean } {
  const { device } = place;
  const { packet } = frame;
  const namespace = underlay(network, place);
  if (packet === undefined || namespace === undefined) return unknownTunnel(place);
  if (device.kind === "vxlan" || device.kind === "geneve") {
    return overUdp(place, namespace, frame, packet);
  }
  if (device.kind === "wireguard") return overWireguard(place, namespace, frame, packet);
  const protocol = device.kind === "ip6tnl"
    ? packet.source.family === 4 ? PROTOCOLS.ipip : PROTOCOLS.ipv6
    : PLAIN[device.kind];
  if (protocol === undefined) return unknownTunnel(place);
  const fixed = addressAttribute(device, "remote");
  const remote = fixed === undefined || fixed.bits === 0n ? nextHop : fixed;
  if (remote === undefined) return noRemote(place, frame);
  const header = remote.family === 4 ? 20 : 40;
  const more = protocol === PROTOCOLS.gre ? 4 + (device.kind.endsWith("tap") ? FRAME_BYTES : 0) : 0;
  return [outerOf(place, namespace, remote, {
    protocol,
    length: packet.length + header + more,
    load: loadOf(device, frame, packet),
  })];
}

function overUdp(
  place: Place,
  namespace: Namespace,
  frame: Frame,
  packet: Packet,
): readonly Outer[] | { readonly cause: Cause; readonly unknown: boolean } {
  const { device } = place;
  const remotes = remotesOf(place, frame.destination);
  if (remotes.length === 0) return noRemote(place, frame);
  const otherwise = device.kind === "vxlan" ? VXLAN_PORT : GENEVE_PORT;
  return remotes.map(({ address, port, via }) => {
    const header = address.family === 4 ? 20 : 40;
    return outerOf(place, namespace, address, {
      ...(via === undefined ? {} : { outDevice: via }),
      protocol: PROTOCOLS.udp,
      sourcePort: TUNNEL_SOURCE_PORT,
      destinationPort: port ?? numberAttribute(device, "port") ?? otherwise,
      length: packet.length + FRAME_BYTES + UDP_TUNNEL_BYTES + header,
      load: loadOf(device, frame, packet),
    });
  });
}

function overWireguard(
  place: Place,
  namespace: Namespace,
  frame: Frame,
  packet: Packet,
): readonly Outer[] | { readonly cause: Cause; readonly unknown: boolean } {
  const { namespace: own, device } = place;
  const { wireguardAllowedIps, wireguardEndpoints } = own.snapshot;
  if (wireguardAllowedIps === undefined || wireguardEndpoints === undefined) {
    return unknownTunnel(place);
  }
  const to = formatAddress(packet.destination);
  const peer = peerOf(own, device.name, packet.destination);
  const endpoint = peer?.endpoint;
  if (endpoint === undefined) {
    const what = peer === undefined
      ? `no peer of "${device.name}" may be sent what is for ${to}`
      : `where the peer of "${device.name}" is that has ${to} is not known`;
    const cause: Cause = {
      id: peer === undefined ? "tunnel-no-peer" : "tunnel-no-remote",
      namespace: own,
      device: device.name,
      what,
      evidence: [{ kind: "device", text: deviceText(device) }],
      confirm: own.command(`wg show ${shellWord(device.name)}`),
      fix: own.command(
        `wg set ${shellWord(device.name)} peer ` +
          (peer === undefined
            ? `KEY allowed-ips ${to}`
            : `${shellWord(peer.key)} endpoint ADDRESS:PORT`),
      ),
    };
    return { cause, unknown: false };
  }
  const { address, port } = endpoint;
  const header = address.family === 4 ? 20 : 40;
  const padded = Math.ceil(packet.length / PADDING_BYTES) * PADDING_BYTES;
  return [outerOf(place, namespace, address, {
    protocol: PROTOCOLS.udp,
    sourcePort: TUNNEL_SOURCE_PORT,
    destinationPort: port,
    length: padded + WIREGUARD_BYTES + header,
    load: loadOf(device, frame, packet),
  })];
}

function outerOf(
  { device, namespace: own }: Place,
  namespace: Namespace,
  destination: Address,
  rest: Omit<Outer, "namespace" | "destination">,
): Outer {
  const local = outerAddress(device, "local");
  const hasEntries = device.kind === "vxlan" || device.kind === "geneve";
  const link = hasEntries ? undefined : attribute(device, "link") ?? device.link.link;
  const ttl = numberAttribute(device, "ttl");
  const source = local !== undefined && local.bits !== 0n ? { source: local } : {};
  const outDevice = namespace === own && typeof link === "string" ? { outDevice: link } : {};
  return {
    ...{ namespace, destination, ...source, ...outDevice, ...rest },
    ...(ttl === undefined || ttl === 0 ? {} : { ttl }),
  };
}

function loadOf(device: Device, frame: Frame, packet: Packet): Load {
  const number = numberAttribute(device, "id");
  return {
    kind: device.kind,
    packet,
    source: frame.source,
    destination: frame.destination,
    ...(number === undefined ? {} : { number }),
    ...(frame.vlan === undefined ? {} : { vlan: frame.vlan }),
  };
}

/** Where a tunnel's packets are sent from: the namespace that it was made in. */
function underlay(network: Network, { namespace, device }: Place): Namespace | undefined {
  const id = device.link.link_netnsid;
  if (id === undefined) return namespace;
  const inum = namespace.snapshot.netnsIds[id];
  return network.namespaces.find((each) =>
    each.node === namespace.node && each.snapshot.netns === inum
  );
}

interface Remote {
  readonly address: Address;
  readonly port?: number;
  /** The device that it must leave by: the own far end has one, and an entry may. */
  readonly via?: string;
}

/** Where a vxlan or geneve device sends frames for a hardware address. */
function remotesOf({ namespace, device }: Place, mac: string): readonly Remote[] {
  const entries = (namespace.snapshot.fdb ?? []).filter((entry) =>
    entry.ifname === device.name && entry.dst !== undefined
  );
  const ofMac = entries.filter((entry) => entry.mac === mac);
  const chosen = ofMac.length > 0 && mac !== BROADCAST
    ? ofMac
    : entries.filter((entry) => /^[0:]+$/.test(entry.mac));
  const found = chosen.flatMap(({ dst, port, viaIf }): Remote[] => {
    const address = parseAddress(dst ?? "");
    if (address === undefined) return [];
    return [{
      address,
      ...(port === undefined ? {} : { port }),
      ...(typeof viaIf === "string" ? { via: viaIf } : {}),
    }];
  });
  if (found.length > 0) return found;
  const address = outerAddress(device, "remote");
  if (address === undefined || address.bits === 0n) return [];
  const link = attribute(device, "link");
  return [{ address, ...(typeof link === "string" ? { via: link } : {}) }];
}

function addressAttribute(device: Device, name: string): Address | undefined {
  const value = attribute(device, name);
  return typeof value === "string" ? parseAddress(value) : undefined;
}

/** An address of the outer packets; `ip` has names of their own for those of IPv6. */
function outerAddress(device: Device, name: "local" | "remote" | "group"): Address | undefined {
  return addressAttribute(device, name) ?? addressAttribute(device, `${name}6`);
}

/**
 * Whether a vxlan or geneve device takes outer packets of a family: that of its own addresses, of
 * IPv4 where it has none, and of both where routes say where to (`vxlan_open`, `geneve_open`).
 */
export function carriesFamily(device: Device, family: Family): boolean {
  if (attribute(device, "external") === true) return true;
  const own = (["local", "remote", "group"] as const)
    .map((name) => outerAddress(device, name))
    .find((address) => address !== undefined && address.bits !== 0n);
  return family === (own?.family ?? 4);
}

function numberAttribute(device: Device, name: string): number | undefined {
  const value = attribute(device, name);
  return typeof value === "number" ? value : undefined;
}

/** The devices at the far ends of a vxlan or geneve device, as far as the snapshots have them. */
export function carries(network: Network, place: Place): readonly Place[] {
  const { device } = place;
  const remotes = remotesOf(place, BROADCAST);
  const ends = remotes.flatMap(({ address }) =>
    network.owners(address).map(({ namespace }) => ({ namespace, family: address.family }))
  );
  return ends.flatMap(({ namespace, family }) =>
    namespace.devices.filter((other) =>
      other.kind === device.kind && attribute(other, "id") === attribute(device, "id") &&
      carriesFamily(other, family)
    ).map((other) => ({ namespace, device: other }))
  );
}

/** Whether a route leads to the far end that takes frames for a hardware address. */
export function farEndRouted(network: Network, place: Place, mac: string): boolean {
  const namespace = underlay(network, place);
  const remotes = remotesOf(place, mac);
  return namespace === undefined || remotes.length === 0 ||
    remotes.some(({ address }) =>
      lookup(namespace, {
        ...{ destination: address, protocol: PROTOCOLS.udp, tos: 0, mark: 0, uid: 0 },
        inDevice: "lo",
      }).found === "route"
    );
}

/** The tunnel of a namespace that an outer packet is for; undefined if it is for none. */
export function tunnelFor(namespace: Namespace, packet: Packet, load: Load): Device | undefined {
  const fits = (device: Device) =>
    device.up && (load.kind === "wireguard"
      ? device.kind === "wireguard" &&
        peerOf(namespace, device.name, load.packet.source) !== undefined
      : isEnd(device, packet, load));
  const all = namespace.devices.filter(fits);
  return all.find((device) => {
    const remote = outerAddress(device, "remote");
    return remote !== undefined && sameAddress(remote, packet.source);
  }) ?? all[0];
}

function isEnd(device: Device, packet: Packet, load: Load): boolean {
  if (packet.protocol === PROTOCOLS.udp) {
    const otherwise = device.kind === "vxlan" ? VXLAN_PORT : GENEVE_PORT;
    return device.kind === load.kind && ["vxlan", "geneve"].includes(device.kind) &&
      (numberAttribute(device, "port") ?? otherwise) === packet.destinationPort &&
      numberAttribute(device, "id") === load.number &&
      carriesFamily(device, packet.destination.family);
  }
  const kinds = device.kind === "ip6tnl" ? ["ip6tnl"] : [device.kind];
  if (!kinds.includes(load.kind)) return false;
  const local = addressAttribute(device, "local");
  const remote = addressAttribute(device, "remote");
  const any = (address: Address | undefined) => address === undefined || address.bits === 0n;
  return (any(local) || local !== undefined && sameAddress(local, packet.destination)) &&
    (any(remote) || remote !== undefined && sameAddress(remote, packet.source));
}

/** That an outer packet arrived where no tunnel takes it. */
export function noPeer(namespace: Namespace, packet: Packet, load: Load): Cause {
  const number = load.number === undefined ? "" : ` with the number ${load.number}`;
  const port = packet.destinationPort === undefined ? "" : ` on port ${packet.destinationPort}`;
  return {
    id: "tunnel-no-peer",
    namespace,
    what: `no ${load.kind} device${number}${port} is up to take what comes from ` +
      formatAddress(packet.source),
    evidence: namespace.devices.filter(({ kind }) => kind === load.kind)
      .map((device) => ({ kind: "device", text: deviceText(device) })),
    confirm: namespace.command(`ip -d link show type ${shellWord(load.kind)}`),
    fix: `give this namespace such a device, or set it up`,
  };
}

function noRemote({ namespace, device }: Place, frame: Frame) {
  const cause: Cause = {
    id: "tunnel-no-remote",
    namespace,
    device: device.name,
    what: `the ${device.kind} device "${device.name}" knows no far end for ${frame.destination}`,
    evidence: [{
      kind: "fdb",
      text: `no entry for ${frame.destination} dev ${shellWord(device.name)}`,
    }],
    confirm: namespace.command(`bridge fdb show dev ${shellWord(device.name)}`),
    fix: namespace.command(
      `bridge fdb append ${frame.destination} dev ${shellWord(device.name)} dst ADDRESS`,
    ),
  };
  return { cause, unknown: false };
}

function unknownTunnel({ namespace, device }: Place) {
  const program = device.kind === "tun";
  const cause: Cause = {
    id: "device-unknown",
    namespace,
    device: device.name,
    what: program
      ? `the device "${device.name}" hands it to a program, which may do anything with it`
      : `what a device of the kind "${device.kind}" does with it is not walked`,
    evidence: [{ kind: "device", text: deviceText(device) }],
    confirm: namespace.command(`ip -d link show dev ${shellWord(device.name)}`),
  };
  return { cause, unknown: true };
}
