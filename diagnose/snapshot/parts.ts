/**
 * What a snapshot holds of one network namespace, as schemas: parsers give what these allow, and
 * reading a snapshot back checks it against them.
 *
 * Fields are called as iproute2 calls them; those that are not listed are kept as they are.
 *
 * @module
 */
import * as v from "valibot";

const text = v.string();
const number = v.pipe(v.number(), v.finite());
const flags = v.array(text);
const optional = v.exactOptional;

/** An address of a device: `ip -d -j address`. */
const addressShape = v.looseObject({
  family: v.picklist(["inet", "inet6"]),
  local: optional(text),
  address: optional(text),
  prefixlen: number,
  scope: optional(text),
  label: optional(text),
  broadcast: optional(text),
  metric: optional(number),
});

/** What kind of device or port it is, and the attributes of that kind, as `ip -d` names them. */
const linkInfoShape = v.looseObject({
  info_kind: optional(text),
  info_data: optional(v.record(text, v.unknown())),
  info_slave_kind: optional(text),
  info_slave_data: optional(v.record(text, v.unknown())),
});

/** A device with its addresses: `ip -d -j address`. */
export const linkShape = v.looseObject({
  ifindex: number,
  ifname: text,
  flags,
  mtu: number,
  operstate: optional(text),
  link_type: optional(text),
  address: optional(text),
  master: optional(text),
  /** The peer or lower device: by name in the same namespace, else by index. */
  link: optional(v.nullable(text)),
  link_index: optional(number),
  /** The peer's namespace, a number of this namespace's own: see `netnsIds`. */
  link_netnsid: optional(number),
  linkinfo: optional(linkInfoShape),
  addr_info: optional(v.array(v.union([addressShape, v.strictObject({})])), []),
});

const viaShape = v.looseObject({ family: text, host: text });
const nextHopShape = v.looseObject({
  gateway: optional(text),
  via: optional(viaShape),
  dev: optional(text),
  weight: optional(number),
  flags: optional(flags),
});

/** A route of any table: `ip -N -d -j route show table all`. */
export const routeShape = v.looseObject({
  family: v.picklist(["inet", "inet6"]),
  type: text,
  dst: text,
  from: optional(text),
  gateway: optional(text),
  via: optional(viaShape),
  dev: optional(text),
  /** A number in decimal digits; the main table's is 254. */
  table: text,
  protocol: optional(text),
  scope: optional(text),
  prefsrc: optional(text),
  metric: optional(number),
  nhid: optional(number),
  flags: optional(flags),
  metrics: optional(v.array(v.record(text, v.unknown()))),
  nexthops: optional(v.array(nextHopShape)),
});

/** A nexthop object: `ip -N -j nexthop`. */
export const nexthopShape = v.looseObject({
  id: number,
  gateway: optional(text),
  dev: optional(text),
  scope: optional(text),
  protocol: optional(text),
  group: optional(v.array(v.looseObject({ id: number, weight: optional(number) }))),
  flags: optional(flags),
});

/** A rule of policy routing: `ip -N -d -j rule`, with every selector that it prints. */
export const ruleShape = v.looseObject({
  family: v.picklist(["inet", "inet6"]),
  priority: number,
  src: text,
  srclen: optional(number),
  dst: optional(text),
  dstlen: optional(number),
  not: optional(v.nullable(text)),
  fwmark: optional(text),
  fwmask: optional(text),
  iif: optional(text),
  oif: optional(text),
  table: optional(text),
  goto: optional(v.union([number, text])),
  action: optional(text),
});

/** A neighbour, or (`proxy`) an address that is answered for: `ip -j neighbour`. */
export const neighbourShape = v.looseObject({
  dst: text,
  dev: optional(text),
  lladdr: optional(text),
  router: optional(v.nullable(text)),
  proxy: optional(v.unknown()),
  state: optional(flags),
});

/** An entry of a forwarding database, of bridges and vxlan devices: `bridge -j fdb`. */
export const fdbShape = v.looseObject({
  mac: text,
  ifname: optional(text),
  vlan: optional(number),
  dst: optional(text),
  vni: optional(number),
  port: optional(number),
  flags: optional(flags),
  master: optional(text),
  state: optional(text),
});

/** The VLANs of a bridge's port: `bridge -j vlan`. */
export const vlanShape = v.looseObject({
  ifname: text,
  vlans: v.array(v.looseObject({
    vlan: number,
    vlanEnd: optional(number),
    flags: optional(flags),
  })),
});

/** A queueing discipline: `tc -j qdisc`. */
export const qdiscShape = v.looseObject({
  kind: text,
  handle: optional(text),
  dev: optional(text),
  root: optional(v.boolean()),
  parent: optional(text),
});

/** A BPF program that sees a device's packets: `bpftool -j net`. */
export const programShape = v.looseObject({
  /** Of netfilter's programs there is none. */
  dev: optional(text),
  /** `xdp`, `tcx/ingress`, `tcx/egress`, `clsact/ingress`, `netkit/peer`, `netfilter`, … */
  hook: text,
  id: optional(number),
  name: optional(text),
});

/** A filter of a device's packets: `tc -j filter show dev DEVICE ingress`, or `egress`. */
export const filterShape = v.looseObject({
  dev: text,
  direction: v.picklist(["ingress", "egress"]),
  kind: text,
  protocol: optional(text),
  pref: optional(number),
  options: v.record(text, v.unknown()),
});

/** A socket that something can be sent to: `ss`. */
export const listenerShape = v.strictObject({
  protocol: v.picklist(["tcp", "udp"]),
  state: text,
  /** Without brackets; `*` is every address of both families. */
  address: text,
  port: number,
  /** The device that it is bound to. */
  device: optional(text),
  /** Of TCP: connections that wait to be accepted, and how many may. Of UDP: bytes. */
  queued: number,
  queueMax: number,
  inode: optional(number),
  uid: optional(number),
  v6only: optional(v.boolean()),
});

/** How full the table of connections is, and what it may hold. */
const conntrackShape = v.strictObject({ count: number, max: number });

/** How many policies and states of IPsec there are. */
const xfrmShape = v.strictObject({ policies: number, states: number });

/** Every part of a namespace; what is absent is in `missing`, or is of what is not there. */
export const partShapes = {
  links: v.array(linkShape),
  routes: v.array(routeShape),
  nexthops: v.array(nexthopShape),
  rules: v.array(ruleShape),
  neighbours: v.array(neighbourShape),
  fdb: v.array(fdbShape),
  vlans: v.array(vlanShape),
  qdiscs: v.array(qdiscShape),
  filters: v.array(filterShape),
  programs: v.array(programShape),
  listeners: v.array(listenerShape),
  conntrack: conntrackShape,
  xfrm: xfrmShape,
  /** By path below `/proc/sys`: `net/ipv4/conf/eth0/rp_filter`. What the kernel lacks is absent. */
  sysctls: v.record(text, text),
  /** Texts exactly as the tools wrote them. */
  iptablesLegacy: text,
  ip6tablesLegacy: text,
  iptablesNft: text,
  ip6tablesNft: text,
  nft: text,
  ipset: text,
  ipvs: text,
  wireguardAllowedIps: text,
  wireguardEndpoints: text,
  /** What the namespace's processes look names up by. */
  resolvConf: text,
  hosts: text,
} as const;

/** The name of a part. */
export type Part = keyof typeof partShapes;
/** What was found of a namespace. */
export type Parts = { readonly [P in Part]?: v.InferOutput<(typeof partShapes)[P]> };
export type Link = v.InferOutput<typeof linkShape>;
export type Program = v.InferOutput<typeof programShape>;
export type Filter = v.InferOutput<typeof filterShape>;
export type Listener = v.InferOutput<typeof listenerShape>;
