/**
 * Small networks of namespaces, made by hand: what the kernel would have recorded of them.
 *
 * @module
 */
import type { NamespaceSnapshot, Snapshot } from "../diagnose/snapshot/format.ts";

/** A device to make. */
export interface MadeDevice {
  readonly kind?: string;
  /** The namespace and device at the other end of a veth, or the one that it stands on. */
  readonly to?: readonly [namespace: string, device: string];
  readonly addresses?: readonly string[];
  readonly master?: string;
  readonly mtu?: number;
  readonly group?: string;
  readonly down?: boolean;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly port?: Readonly<Record<string, unknown>>;
}

/** A namespace to make. */
export interface MadeNamespace {
  readonly devices: Readonly<Record<string, MadeDevice>>;
  /** Besides those of its addresses: what `ip route` says. */
  readonly routes?: readonly Partial<Given<"routes">>[];
  readonly rules?: readonly Given<"rules">[];
  readonly neighbours?: readonly Given<"neighbours">[];
  readonly fdb?: readonly Given<"fdb">[];
  readonly vlans?: readonly Given<"vlans">[];
  readonly sysctls?: Readonly<Record<string, string>>;
  /** `tcp 0.0.0.0 8080` */
  readonly listeners?: readonly string[];
  readonly more?: Partial<NamespaceSnapshot>;
}

type Given<P extends "routes" | "rules" | "neighbours" | "fdb" | "vlans"> = NonNullable<
  NamespaceSnapshot[P]
>[number];

const FORWARDING = { "net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1" };

/** Settings of a namespace that forwards, with these devices. */
export function forwarding(...devices: readonly string[]): Record<string, string> {
  const own = devices.map((name) => [`net/ipv4/conf/${name}/forwarding`, "1"]);
  return { ...FORWARDING, ...Object.fromEntries(own) };
}

/** A snapshot of the namespaces, the first of them the host's if it is called `node`. */
export function madeSnapshot(
  namespaces: Readonly<Record<string, MadeNamespace>>,
  node = "node1",
): Snapshot {
  const names = Object.keys(namespaces);
  return {
    format: "podskoop-snapshot",
    version: 1,
    ...{ producer: "test", node, kernel: "6.18", taken: "2026-01-01T00:00:00.000Z" },
    namespaces: names.map((name) => madeNamespace(name, names, namespaces)),
    missing: [],
  };
}

function madeNamespace(
  name: string,
  names: readonly string[],
  all: Readonly<Record<string, MadeNamespace>>,
): NamespaceSnapshot {
  const made = all[name];
  if (made === undefined) throw new Error(`Cannot make the namespace "${name}"`);
  const inum = (each: string) => 1000 + names.indexOf(each);
  const devices = {
    lo: { kind: "loopback", addresses: ["127.0.0.1/8", "::1/128"] },
    ...made.devices,
  };
  return {
    ...{ netns: inum(name), netnsCookie: "0", host: name === "node", pids: [], containerIds: [] },
    owner: { kind: name === "node" ? "host" : "netns", namespace: "", name },
    netnsIds: Object.fromEntries(names.map((each) => [String(inum(each)), inum(each)])),
    links: Object.entries(devices).map(([device, given]) =>
      madeLink(name, device, given, all, inum)
    ),
    routes: [
      ...Object.entries(devices).flatMap(([device, given]) => addressRoutes(device, given)),
      ...(made.routes ?? []).map((each) => ({ ...DEFAULTS, ...each })),
    ],
    nexthops: [],
    rules: [...(made.rules ?? []), ...RULES].sort((a, b) => a.priority - b.priority),
    neighbours: [...made.neighbours ?? []],
    fdb: [...made.fdb ?? []],
    vlans: [...made.vlans ?? []],
    ...{ qdiscs: [], filters: [], programs: [] },
    listeners: (made.listeners ?? []).map(madeListener),
    sysctls: { ...made.sysctls },
    ...{ iptablesLegacy: "", ip6tablesLegacy: "", iptablesNft: "", ip6tablesNft: "" },
    ...{ nft: "", ipset: "", ipvs: "", xfrm: { policies: 0, states: 0 } },
    missing: [],
    ...made.more,
  };
}

const DEFAULTS = { family: "inet", type: "unicast", dst: "default", table: "254" } as const;

const RULES: readonly Given<"rules">[] = (["inet", "inet6"] as const).flatMap((family) => [
  { family, priority: 0, src: "all", table: "255" },
  { family, priority: 32766, src: "all", table: "254" },
  ...(family === "inet" ? [{ family, priority: 32767, src: "all", table: "253" }] : []),
]);

/** The hardware address of a made device. */
export function macOf(namespace: string, device: string): string {
  let sum = 7;
  for (const character of `${namespace}/${device}`) {
    sum = (sum * 31 + character.charCodeAt(0)) % 0xffffff;
  }
  const hex = sum.toString(16).padStart(6, "0");
  return `02:00:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;
}

function madeLink(
  namespace: string,
  name: string,
  given: MadeDevice,
  all: Readonly<Record<string, MadeNamespace>>,
  inum: (name: string) => number,
): NonNullable<NamespaceSnapshot["links"]>[number] {
  const { kind = "physical", to, addresses = [], master, mtu = 1500, down, data, port, group } =
    given;
  const index = (of: string, device: string) =>
    ["lo", ...Object.keys(all[of]?.devices ?? {})].indexOf(device) + 1;
  const lower = to === undefined || to[0] === namespace ? [] : ["LOWER_UP"];
  const flags = down === true ? [] : ["UP", "LOWER_UP", ...lower];
  return {
    ifindex: index(namespace, name),
    ifname: name,
    flags: kind === "loopback" ? ["LOOPBACK", ...flags] : ["BROADCAST", ...flags],
    mtu: kind === "loopback" ? 65536 : mtu,
    link_type: { loopback: "loopback", ipip: "ipip", wireguard: "none" }[kind] ?? "ether",
    address: kind === "loopback" ? "00:00:00:00:00:00" : macOf(namespace, name),
    ...(master === undefined ? {} : { master }),
    ...(group === undefined ? {} : { group }),
    ...(to === undefined ? {} : {
      link_index: index(...to),
      ...(to[0] === namespace ? {} : { link_netnsid: inum(to[0]) }),
    }),
    linkinfo: {
      ...(["physical", "loopback"].includes(kind) ? {} : { info_kind: kind }),
      ...(data === undefined ? {} : { info_data: { ...data } }),
      ...(master === undefined
        ? {}
        : { info_slave_kind: "bridge", info_slave_data: { state: "forwarding", ...port } }),
    },
    addr_info: addresses.map((text) => {
      const [local = "", length = ""] = text.split("/");
      const family = local.includes(":") ? "inet6" : "inet";
      const scope = kind === "loopback" ? "host" : local.startsWith("fe80") ? "link" : "global";
      return { family, local, prefixlen: Number(length), scope } as const;
    }),
  };
}

function addressRoutes(device: string, { addresses = [], down }: MadeDevice): Given<"routes">[] {
  if (down === true) return [];
  return addresses.flatMap((text): Given<"routes">[] => {
    const [local = "", length = ""] = text.split("/");
    const family = local.includes(":") ? "inet6" : "inet";
    const own = { family, type: "local", dst: local, dev: device, table: "255" } as const;
    if (length === "32" || length === "128") return [own];
    const scope = family === "inet" ? { scope: "253", prefsrc: local } : { metric: 256 };
    return [own, { family, type: "unicast", dst: text, dev: device, table: "254", ...scope }];
  });
}

function madeListener(text: string): NonNullable<NamespaceSnapshot["listeners"]>[number] {
  const [protocol, address = "", port] = text.split(" ");
  const state = protocol === "udp" ? "UNCONN" : "LISTEN";
  return {
    protocol: protocol === "udp" ? "udp" : "tcp",
    ...{ state, address, port: Number(port), queued: 0, queueMax: 13 },
    ...(address.includes(":") || address === "*" ? { v6only: false } : {}),
  };
}
