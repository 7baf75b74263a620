/**
 * What a namespace does with a packet that comes in: whether it believes the source, and where it
 * sends it.
 *
 * Sources: the kernel's `ip_route_input_slow`, `fib_validate_source`, `ip6_route_input`,
 * `ip6_forward`.
 *
 * @module
 */
import { type Address, formatAddress } from "../packet/address.ts";
import type { Packet } from "../packet/packet.ts";
import { addressesOf, type Device } from "./device.ts";
import {
  customised,
  type Found,
  isLimitedBroadcast,
  isLinkLocal,
  isLocal,
  isLoopback,
  isMulticast,
  isZero,
  lookup,
} from "./lookup.ts";
import type { Namespace } from "./namespace.ts";
import { type Hop, type Route, tableName } from "./routes.ts";
import type { Flow } from "./rules.ts";
import { type Cause, type Evidence, sysctl } from "./trail.ts";
import { settingName, shellWord } from "./command.ts";

/** Text that a shell takes as words and nothing else. */
const PLAIN = /^[\w .:/-]+$/;

/** Where a packet that came in goes. */
export type InputRoute =
  | { readonly to: "here"; readonly route: Route }
  | { readonly to: "forward"; readonly route: Route; readonly hops: readonly Hop[] }
  | { readonly to: "nowhere"; readonly cause: Cause; readonly unknown?: boolean };

/** The lookup for a packet that came by a device. */
export function inputFlow(namespace: Namespace, device: Device, packet: Packet): Flow {
  const vrf = namespace.vrf(device);
  const { source, destination, protocol, sourcePort, destinationPort, tos, mark } = packet;
  return {
    ...{ source, destination, protocol, tos, mark, uid: 0, inDevice: device.name },
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
    ...(vrf === undefined ? {} : { vrf }),
  };
}

/** Decides about a packet that came by a device. */
export function inputRoute(namespace: Namespace, device: Device, packet: Packet): InputRoute {
  const strange = packet.source.family === 4
    ? strange4(namespace, device, packet)
    : strange6(namespace, device, packet);
  if (strange !== undefined) return { to: "nowhere", cause: strange };
  const missing = namespace.lacks("routes") ?? namespace.lacks("rules");
  if (missing !== undefined) {
    return { to: "nowhere", unknown: true, cause: lacking(namespace, "routes", missing) };
  }
  const found = lookup(namespace, inputFlow(namespace, device, packet));
  if (packet.source.family === 6) return input6(namespace, device, packet, found);
  const local = found.found === "route" &&
    ["local", "broadcast"].includes(found.route.type);
  if (found.found === "route" && (local || forwards4(namespace, device))) {
    const disbelief = sourceProblem(namespace, device, packet);
    if (disbelief !== undefined) return { to: "nowhere", cause: disbelief };
  }
  if (local) return { to: "here", route: found.route };
  if (!forwards4(namespace, device)) {
    return { to: "nowhere", cause: forwardingOff(namespace, device, packet) };
  }
  if (found.found !== "route") {
    return {
      to: "nowhere",
      cause: unroutable(namespace, packet, found, device.name),
      unknown: found.found === "unknown",
    };
  }
  if (found.route.type !== "unicast") {
    const what = `${formatAddress(packet.destination)} is ${found.route.type}, which is not routed`;
    return { to: "nowhere", cause: martian(namespace, device, what) };
  }
  return { to: "forward", route: found.route, hops: found.hops };
}

function forwards4(namespace: Namespace, device: Device): boolean {
  return namespace.own(4, device.name, "forwarding") > 0;
}

function input6(
  namespace: Namespace,
  device: Device,
  packet: Packet,
  found: Found,
): InputRoute {
  if (found.found === "route" && ["local", "anycast"].includes(found.route.type)) {
    return { to: "here", route: found.route };
  }
  const forced = namespace.own(6, device.name, "force_forwarding") > 0;
  if (found.found !== "route") {
    return {
      to: "nowhere",
      cause: unroutable(namespace, packet, found, device.name),
      unknown: found.found === "unknown",
    };
  }
  if (namespace.own(6, "all", "forwarding") === 0 && !forced) {
    return { to: "nowhere", cause: forwardingOff(namespace, device, packet) };
  }
  if (isLinkLocal(packet.source)) {
    const what = `${formatAddress(packet.source)} is link-local, and so is not forwarded`;
    return { to: "nowhere", cause: martian(namespace, device, what) };
  }
  return { to: "forward", route: found.route, hops: found.hops };
}

function strange4(namespace: Namespace, device: Device, packet: Packet): Cause | undefined {
  const { source, destination } = packet;
  const text = formatAddress(source);
  if (isMulticast(source) || isLimitedBroadcast(source) || isZero(source)) {
    return martian(namespace, device, `${text} cannot be a source`);
  }
  if (isZero(destination)) {
    return martian(namespace, device, `${formatAddress(destination)} cannot be a destination`);
  }
  if (namespace.most(4, device.name, "route_localnet") > 0) return undefined;
  const loopback = [source, destination].find(isLoopback);
  if (loopback === undefined) return undefined;
  const path = `net/ipv4/conf/${device.name}/route_localnet`;
  return {
    ...martian(
      namespace,
      device,
      `${formatAddress(loopback)} is loopback's, and does not come by another device`,
    ),
    evidence: [sysctl(namespace, path), sysctl(namespace, "net/ipv4/conf/all/route_localnet")],
    fix: namespace.command(`sysctl -w ${shellWord(settingName(path))}=1`),
  };
}

function strange6(namespace: Namespace, device: Device, packet: Packet): Cause | undefined {
  if (namespace.own(6, device.name, "disable_ipv6") > 0) {
    const path = `net/ipv6/conf/${device.name}/disable_ipv6`;
    return {
      id: "ipv6-disabled",
      namespace,
      device: device.name,
      what: `IPv6 is off on the device "${device.name}"`,
      evidence: [sysctl(namespace, path)],
      confirm: namespace.command(`sysctl ${shellWord(settingName(path))}`),
      fix: namespace.command(`sysctl -w ${shellWord(settingName(path))}=0`),
    };
  }
  if (isMulticast(packet.source)) {
    return martian(namespace, device, `${formatAddress(packet.source)} cannot be a source`);
  }
  const loopback = [packet.source, packet.destination].find(isLoopback);
  if (loopback === undefined) return undefined;
  const what = `${formatAddress(loopback)} is loopback's, and does not come by another device`;
  return martian(namespace, device, what);
}

/** Why the source is not believed: `fib_validate_source`; undefined if it is. */
export function sourceProblem(
  namespace: Namespace,
  device: Device,
  packet: Pick<Packet, "source" | "destination" | "protocol" | "tos" | "mark"> & Partial<Packet>,
): Cause | undefined {
  const filter = namespace.most(4, device.name, "rp_filter");
  const acceptsLocal = namespace.most(4, device.name, "accept_local") > 0;
  const text = formatAddress(packet.source);
  const own = `the source ${text} is this namespace's own address`;
  if (filter === 0 && !customised(namespace, 4)) {
    if (acceptsLocal || !isLocalAddress(namespace, packet.source)) return undefined;
    return ownAddress(namespace, device, own);
  }
  const back = lookup(namespace, reverseFlow(namespace, device, packet));
  const route = back.found === "route" ? back.route : undefined;
  // What is not known of the way back is told where an answer takes it.
  if (back.found === "unknown") return undefined;
  if (route === undefined) {
    if (filter === 0) return undefined;
    return filtered(namespace, device, filter, `no route leads back to ${text}`, []);
  }
  if (route.type === "local" && acceptsLocal) return undefined;
  if (route.type !== "unicast") {
    if (route.type === "local") return ownAddress(namespace, device, own);
    return martian(namespace, device, `${text} is ${route.type}, which cannot be a source`);
  }
  const vrf = namespace.vrf(device)?.device;
  const uses = route.hops.some((hop) =>
    hop.device === device.name ||
    vrf !== undefined && namespace.vrf(namespace.device(hop.device))?.device === vrf
  );
  if (uses || filter === 0) return undefined;
  const evidence: Evidence[] = [{ kind: "route", text: route.text }];
  const where = route.hops.map((hop) => hop.device).join(", ");
  const because = `the route back to ${text} leads to "${where}", not to "${device.name}"`;
  if (filter === 1 || addressesOf(device, 4).length === 0) {
    return filtered(namespace, device, filter, because, evidence);
  }
  return undefined;
}

function isLocalAddress(namespace: Namespace, address: Address): boolean {
  return namespace.owner(address) !== undefined || isLocal(namespace, address);
}

/** The lookup of the way back, as `fib_validate_source` makes it. */
export function reverseFlow(
  namespace: Namespace,
  device: Device,
  packet: Pick<Packet, "source" | "destination" | "protocol" | "tos" | "mark"> & Partial<Packet>,
): Flow {
  const vrf = namespace.vrf(device);
  const { source, destination, protocol, sourcePort, destinationPort, tos, mark } = packet;
  return {
    ...{ source: destination, destination: source, protocol, tos, uid: 0 },
    mark: namespace.most(4, device.name, "src_valid_mark") > 0 ? mark : 0,
    inDevice: vrf?.device ?? "lo",
    ...(destinationPort === undefined ? {} : { sourcePort: destinationPort }),
    ...(sourcePort === undefined ? {} : { destinationPort: sourcePort }),
    ...(vrf === undefined ? {} : { vrf }),
  };
}

function filtered(
  namespace: Namespace,
  device: Device,
  filter: number,
  because: string,
  evidence: readonly Evidence[],
): Cause {
  const own = `net/ipv4/conf/${device.name}/rp_filter`;
  const all = "net/ipv4/conf/all/rp_filter";
  return {
    id: "rp-filter",
    namespace,
    device: device.name,
    what: `the reverse path filter of "${device.name}" drops it: ${because}`,
    evidence: [sysctl(namespace, all), sysctl(namespace, own), ...evidence],
    confirm: namespace.command("nstat -az TcpExtIPReversePathFilter"),
    fix: filter === 1
      ? "mend the way back, or make the filter loose: " +
        namespace.command(`sysctl -w ${shellWord(settingName(own))}=2`)
      : "add a route back to the source",
  };
}

function ownAddress(namespace: Namespace, device: Device, what: string): Cause {
  const path = `net/ipv4/conf/${device.name}/accept_local`;
  return {
    ...martian(namespace, device, what),
    evidence: [sysctl(namespace, path)],
    fix: "give one of both another address",
  };
}

function martian(namespace: Namespace, device: Device, what: string): Cause {
  return {
    id: "martian",
    namespace,
    device: device.name,
    what,
    evidence: [],
    confirm: namespace.command("nstat -az IpExtInNoRoutes IpInAddrErrors Ip6InAddrErrors"),
  };
}

function forwardingOff(namespace: Namespace, device: Device, packet: Packet): Cause {
  const path = packet.source.family === 4
    ? `net/ipv4/conf/${device.name}/forwarding`
    : "net/ipv6/conf/all/forwarding";
  const all = packet.source.family === 4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
  return {
    id: "forwarding-off",
    namespace,
    device: device.name,
    what: `${formatAddress(packet.destination)} is not an address of this namespace, ` +
      "and it does not forward",
    evidence: [sysctl(namespace, path)],
    confirm: namespace.command(`sysctl ${shellWord(settingName(path))}`),
    fix: `${namespace.command(`sysctl -w ${all}=1`)}, if it is to forward; ` +
      "else correct the route that leads here",
  };
}

/** Why a lookup does not lead on. */
export function unroutable(
  namespace: Namespace,
  packet: Pick<Packet, "source" | "destination" | "mark">,
  found: Exclude<Found, { found: "route" }>,
  device?: string,
): Cause {
  const text = formatAddress(packet.destination);
  const dash = packet.destination.family === 4 ? "" : "-6 ";
  const mark = packet.mark === 0 ? "" : ` mark ${packet.mark}`;
  const from = device === undefined
    ? ""
    : ` from ${formatAddress(packet.source)} iif ${shellWord(device)}`;
  const confirm = namespace.command(`ip ${dash}route get ${text}${from}${mark}`);
  const base = { namespace, confirm, ...(device === undefined ? {} : { device }) };
  if (found.found === "unknown") {
    return { ...base, id: "not-walked", what: found.text, evidence: [] };
  }
  if (found.found === "refusal") {
    const rule = found.text.startsWith("rule ");
    return {
      ...base,
      id: rule ? "rule-refuses" : "route-refuses",
      what: `a ${rule ? "rule of policy routing" : "route"} says ${found.type} for ${text}`,
      evidence: [{ kind: rule ? "policy" : "route", text: found.text.replace(/^\w+ /, "") }],
      fix: `delete it, if ${text} is to be reached${
        // A device's name that a shell would act on is in no command.
        PLAIN.test(found.text)
          ? `: ${namespace.command(`ip ${dash}${found.text.replace(/^\w+/, "$& del")}`)}`
          : ""}`,
    };
  }
  const tables = namespace.routes.tables(packet.destination.family).map(tableName);
  return {
    ...base,
    id: "no-route",
    what: `no route leads to ${text}`,
    evidence: found.passed.length > 0
      ? found.passed.map((each) => ({ kind: "route", text: `${each} cannot be used` }))
      : [{ kind: "route", text: `nothing for ${text} in the tables ${tables.join(", ")}` }],
    fix: `add a route to ${text}`,
  };
}

/** That a snapshot does not have what would decide. */
export function lacking(namespace: Namespace, part: string, because: string): Cause {
  return {
    id: "part-missing",
    namespace,
    what: `the snapshot lacks "${part}" of this namespace: ${because}`,
    evidence: [{ kind: "snapshot", text: because }],
    fix: "take the snapshot again, as root",
  };
}
