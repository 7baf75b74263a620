/**
 * Tunnels between nodes, and what nodes are joined to the switch by, for kernels that have all
 * kinds of links.
 *
 * @module
 */

/** A kind of tunnel. */
export interface TunnelKind {
  readonly type: string;
  /** What the far ends are addressed by. */
  readonly under: 4 | 6;
  /** Which families it takes; the others go without a tunnel. */
  readonly carries: readonly (4 | 6)[];
  /** Whether it takes frames. */
  readonly ethernet?: boolean;
  /** Whether one device leads to all nodes, and the route's next hop says to which. */
  readonly open?: boolean;
  readonly options?: string;
}

/** The kinds beside vxlan. */
export const TUNNELS: Readonly<Record<string, TunnelKind>> = {
  ipip: { type: "ipip", under: 4, carries: [4] },
  openIpip: { type: "ipip", under: 4, carries: [4], open: true },
  gre: { type: "gre", under: 4, carries: [4, 6] },
  keyedGre: { type: "gre", under: 4, carries: [4, 6], options: "key 7" },
  sit: { type: "sit", under: 4, carries: [6] },
  ip6tnl: { type: "ip6tnl", under: 6, carries: [4, 6], options: "mode any" },
  ip6gre: { type: "ip6gre", under: 6, carries: [4, 6] },
  gretap: { type: "gretap", under: 4, carries: [4, 6], ethernet: true },
  ip6gretap: { type: "ip6gretap", under: 6, carries: [4, 6], ethernet: true },
  geneve: { type: "geneve", under: 4, carries: [4, 6], ethernet: true },
  geneve6: { type: "geneve", under: 6, carries: [4, 6], ethernet: true },
};

/** A node, as tunnels see it. */
export interface TunnelEnd {
  readonly name: string;
  readonly number: number;
  readonly v4: string;
  readonly v6: string;
}

/** The device of a tunnel to another node. */
export function tunnelDevice(kind: TunnelKind, far: TunnelEnd): string {
  return kind.open === true ? "tunl" : `t${far.number}`;
}

/** What `ip -n NODE` makes a tunnel's device by, `enslave` after it was made. */
export function tunnelLinks(
  kind: TunnelKind,
  own: TunnelEnd,
  far: TunnelEnd,
  enslave: readonly string[],
): readonly string[] {
  const device = tunnelDevice(kind, far);
  const under = (end: TunnelEnd) => kind.under === 4 ? end.v4 : end.v6;
  const options = kind.options === undefined ? "" : ` ${kind.options}`;
  const pair = pairOf(own, far);
  const ends = kind.type === "geneve"
    ? `id ${pair} remote ${under(far)}`
    : kind.open === true
    ? `local ${under(own)} dev eth0`
    : `local ${under(own)} remote ${under(far)} dev eth0`;
  const mac = kind.ethernet === true ? ` address 02:cc:00:00:${own.number}0:0${far.number}` : "";
  return [
    `link add ${device} type ${kind.type}${options} ${ends}`,
    ...enslave.map((master) => `link set ${device} master ${master}`),
    `link set ${device}${mac} up`,
    ...(kind.open === true
      ? [`address add 10.71.0.${own.number}/32 dev ${device}`]
      : kind.ethernet === true
      ? [
        `address add 10.71.${pair}.${own.number}/24 dev ${device}`,
        `address add fd71:${pair}::${own.number}/64 dev ${device} nodad`,
      ]
      : [
        `address add 10.71.0.${own.number}/32 dev ${device}`,
        `address add fd71::${own.number}/128 dev ${device} nodad`,
      ]),
  ];
}

/** The routes to the other node's pods through the tunnel, and past it. */
export function tunnelRoutes(
  kind: TunnelKind,
  own: TunnelEnd,
  far: TunnelEnd,
): readonly string[] {
  const device = tunnelDevice(kind, far);
  const pair = pairOf(own, far);
  return ([4, 6] as const).map((family) => {
    const to = family === 4 ? `10.70.${far.number}.0/24` : `fd70:${far.number}::/64`;
    const gateway = family === 4 ? far.v4 : far.v6;
    if (!kind.carries.includes(family)) return `route add ${to} via ${gateway}`;
    if (kind.open === true) return `route add ${to} via ${gateway} dev ${device} onlink`;
    if (kind.ethernet !== true) return `route add ${to} dev ${device}`;
    const next = family === 4 ? `10.71.${pair}.${far.number}` : `fd71:${pair}::${far.number}`;
    return `route add ${to} via ${next} dev ${device}`;
  });
}

function pairOf(one: TunnelEnd, other: TunnelEnd): number {
  return Math.min(one.number, other.number) * 10 + Math.max(one.number, other.number);
}

/** How a node's `eth0` is joined to the switch. */
export type Uplink = "cable" | "vlan" | "active-backup" | "balance-rr" | "balance-xor";

/** All of them. */
export const UPLINKS: readonly Uplink[] = [
  ...["cable", "vlan", "active-backup", "balance-rr", "balance-xor"] as const,
];

/** A namespace, and what `ip -n` does there. */
export type Line = readonly [namespace: string, line: string];

/** Makes `eth0` in a node, and what is at the other end of it in the switch. */
export function uplinkLines(
  uplink: Uplink,
  node: string,
  number: number,
  ground: string,
): readonly Line[] {
  const port = `n${number}`;
  if (uplink === "cable") {
    return [
      [ground, `link add ${port} type veth peer name eth0 netns ${node}`],
      [ground, `link set ${port} master br0 up`],
    ];
  }
  const cable = (at: number): Line[] => [
    [ground, `link add ${port}${at} type veth peer name up${at} netns ${node}`],
    [ground, `link set ${port}${at} up`],
  ];
  if (uplink === "vlan") {
    return [
      ...cable(0),
      [node, "link set up0 up"],
      [node, "link add link up0 name eth0 type vlan id 9"],
      [ground, `link add link ${port}0 name ${port} type vlan id 9`],
      [ground, `link set ${port} master br0 up`],
    ];
  }
  const bond = (where: string, name: string, ports: readonly string[]): Line[] => [
    [where, `link add ${name} type bond mode ${uplink} miimon 20`],
    ...ports.flatMap((each): Line[] => [
      [where, `link set ${each} down`],
      [where, `link set ${each} master ${name}`],
    ]),
  ];
  const ports = [`${port}0`, `${port}1`];
  // Only one port of the node's is used at a time, unless the switch has a bond there, too.
  const joined: Line[] = uplink === "active-backup"
    ? ports.map((each): Line => [ground, `link set ${each} master br0`])
    : [...bond(ground, port, ports), [ground, `link set ${port} master br0 up`]];
  return [...cable(0), ...cable(1), ...joined, ...bond(node, "eth0", ["up0", "up1"])];
}
