/**
 * Random networks of namespaces: nodes with pods behind bridges or cables, joined by a switch or by
 * vxlan, with rules, routes and settings that may or may not stop a packet. The same seed makes the
 * same network.
 *
 * @module
 */

import {
  tunnelDevice,
  type TunnelKind,
  tunnelLinks,
  tunnelRoutes,
  TUNNELS,
  type Uplink,
  uplinkLines,
  UPLINKS,
} from "./links.ts";

/** A source of numbers. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to 1: mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  of<T>(all: readonly T[]): T {
    const one = all[this.below(all.length)];
    if (one === undefined) throw new RangeError("Cannot choose one of none");
    return one;
  }
}

/** A socket that answers. */
export interface Listening {
  readonly namespace: string;
  readonly protocol: "tcp" | "udp";
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  readonly v6only: boolean;
}

/** What is asked of the network and of the walk. */
export interface Asked {
  readonly id: number;
  readonly namespace: string;
  readonly protocol: "tcp" | "udp";
  readonly family: 4 | 6;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly port: number;
}

/** A network. */
export interface Topology {
  readonly namespaces: readonly string[];
  /** One shell script makes it; `ip netns exec` and `ip -n` say where. */
  readonly script: string;
  readonly listening: readonly Listening[];
  readonly asked: readonly Asked[];
}

interface Pod {
  readonly name: string;
  readonly node: Node;
  readonly v4: string;
  readonly v6: string;
  /** The node's device that leads to it. */
  readonly port: string;
}

interface Node {
  readonly uplink: Uplink;
  /** Its VRF, which all of its devices are in. */
  readonly vrf?: string;
  readonly name: string;
  readonly number: number;
  readonly style: "bridge" | "cable" | "proxy";
  readonly v4: string;
  readonly v6: string;
  readonly pods: Pod[];
}

/** Below it a seed goes on making the network that it has always made. */
const MORE_FROM = 10_000_000;
/** From it on there are rules that keep neighbours from finding each other, too. */
const NEIGHBOURS_FROM = 120_000_000;
/** From it on rules ask for routes and for ports of bridges, and these have more settings. */
const ROUTES_ASKED_FROM = 700_000_000;
const TCP_PORT = 8080;
const UDP_PORT = 5353;
const SHUT_PORT = 8081;
const SERVICE_PORT = 80;
/** What a kernel without the feature refuses. */
const MAY_FAIL = " 2>/dev/null || true";
const MAC = "02:aa:00:00:00:";
/** What rules may ask of tunnels' outer packets, and of the devices they come by. */
const OUTER_MATCHES = [
  ...["-p 4", "-p 47", "-p 41", "-p udp -m udp --dport 6081", "-p 4", "-p 47"],
];
const OUTER_EXPRESSIONS = [
  ...["meta l4proto 4", "meta l4proto gre", "meta l4proto 41", "udp dport 6081"],
  ...['iifname "t*"', 'oifname "t*"', 'iif "lo"', 'iifname "up*"'],
];

/** Makes a network from a seed; names begin with `prefix`. A `wide` one has all kinds of links. */
export function topologyOf(seed: number, prefix: string, wide = false): Topology {
  return new Maker(new Dice(seed), prefix, wide, seed).make();
}

/** What makes a namespace in which nothing is sent but what is asked for. */
function fresh(name: string): readonly string[] {
  return [
    `ip netns add ${name}`,
    `ip netns exec ${name} sysctl -qw net.ipv6.conf.default.accept_dad=0 ` +
    "net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.all.forwarding=0 " +
    "net.ipv4.icmp_ratelimit=0",
    `ip -n ${name} link set lo up`,
  ];
}

/** Lines of `ip` in one namespace that follow each other, as one call. */
function batched(lines: readonly string[]): readonly string[] {
  const found: string[] = [];
  let open: { readonly namespace: string; readonly lines: string[] } | undefined;
  const close = () => {
    if (open === undefined) return;
    const [only = "", ...more] = open.lines;
    found.push(
      more.length === 0
        ? `ip -n ${open.namespace} ${only}`
        : `ip -n ${open.namespace} -batch - <<'EOF'\n${open.lines.join("\n")}\nEOF`,
    );
    open = undefined;
  };
  for (const line of lines) {
    const [, namespace = "", rest = ""] = /^ip -n (\S+) ([^|<]+)$/.exec(line) ?? [];
    if (namespace === "" || open !== undefined && open.namespace !== namespace) close();
    if (namespace === "") found.push(line);
    else {
      open ??= { namespace, lines: [] };
      open.lines.push(rest);
    }
  }
  close();
  return found;
}

class Maker {
  readonly #lines: string[] = [];
  readonly #nodes: Node[] = [];
  readonly #listening: Listening[] = [];
  readonly #services: string[] = [];
  readonly #rules = new Map<string, { 4: string[]; 6: string[] }>();
  #way: "routes" | "vxlan" | TunnelKind = "routes";
  #sets = 0;
  #six = false;
  readonly #extra: Pod[] = [];

  /** Later seeds have more kinds of disturbances. */
  constructor(
    readonly dice: Dice,
    readonly prefix: string,
    readonly wide: boolean,
    readonly seed: number,
  ) {}

  make(): Topology {
    const { dice } = this;
    const count = 1 + dice.below(3);
    this.#way = count > 1 && dice.chance(0.4) ? "vxlan" : "routes";
    if (this.wide && count > 1 && dice.chance(0.8)) this.#way = dice.of(Object.values(TUNNELS));
    this.#six = dice.chance(0.3);
    for (let number = 1; number <= count; number++) this.#node(number);
    const names = [
      ...this.#nodes.flatMap(({ name, pods }) => [name, ...pods.map((pod) => pod.name)]),
      `${this.prefix}s`,
    ];
    const made = this.#lines.splice(0);
    this.#lines.push(...names.flatMap(fresh), ...made);
    this.#switch();
    for (const node of this.#nodes) this.#between(node);
    for (const node of this.#nodes) this.#settle(node);
    for (const node of this.#nodes) if (dice.chance(0.25)) this.#beside(node);
    for (const pod of this.#extra) this.#listen(pod);
    for (let at = dice.below(5); at > 0; at--) this.#disturb();
    for (const name of names.slice(0, -1)) this.#restore(name);
    const more = this.#extra.map(({ name }) => name);
    this.#lines.unshift(...more.flatMap(fresh));
    names.unshift(...more);
    return {
      namespaces: names,
      script: `set -e\n${batched(this.#lines).join("\n")}\n`,
      listening: this.#listening,
      asked: this.#questions(),
    };
  }

  #node(number: number): void {
    const { dice, prefix } = this;
    const node: Node = {
      ...{ name: `${prefix}n${number}`, number, style: dice.of(["bridge", "cable", "proxy"]) },
      ...{ v4: `192.168.77.${number}`, v6: `fd77::${number}`, pods: [] },
      uplink: this.wide ? dice.of(UPLINKS) : "cable",
      ...(this.wide && dice.chance(0.2) ? { vrf: "red" } : {}),
    };
    this.#nodes.push(node);
    const { name } = node;
    if (node.vrf !== undefined) {
      this.#ip(name, `link add ${node.vrf} type vrf table 10`);
      this.#ip(name, `link set ${node.vrf} up`);
    }
    if (node.style === "bridge") {
      this.#ip(name, "link add br0 type bridge forward_delay 0");
      this.#enslave(node, "br0");
      this.#ip(name, `link set br0 address ${MAC}${number}0`);
      this.#ip(name, "link set br0 up");
      this.#ip(name, `address add 10.70.${number}.1/24 dev br0`);
      this.#ip(name, `address add fd70:${number}::1/64 dev br0 nodad`);
    }
    const pods = 1 + dice.below(3);
    for (let at = 1; at <= pods; at++) this.#pod(node, at);
  }

  #pod(node: Node, at: number): void {
    const { name: host, number, style } = node;
    const pod: Pod = {
      ...{ name: `${host}p${at}`, node, port: `v${at}` },
      ...{ v4: `10.70.${number}.${at + 1}`, v6: `fd70:${number}::${at + 1}` },
    };
    node.pods.push(pod);
    const { name, v4, v6, port } = pod;
    const before = this.#lines.length;
    this.#ip(host, `link add ${port} type veth peer name eth0 netns ${name}`);
    this.#ip(name, `link set eth0 address ${MAC}${number}${at}`);
    if (style === "bridge") this.#ip(host, `link set ${port} master br0`);
    else this.#enslave(node, port);
    this.#ip(host, `link set ${port} up`);
    this.#ip(name, "link set eth0 up");
    if (style === "bridge") {
      this.#ip(name, `address add ${v4}/24 dev eth0`);
      this.#ip(name, `address add ${v6}/64 dev eth0 nodad`);
      this.#ip(name, `route add default via 10.70.${number}.1`);
      this.#ip(name, `route add default via fd70:${number}::1`);
    } else {
      this.#ip(name, `address add ${v4}/32 dev eth0`);
      this.#ip(name, `address add ${v6}/128 dev eth0 nodad`);
      this.#leads(node, `route add ${v4} dev ${port}`);
      this.#leads(node, `route add ${v6} dev ${port}`);
      this.#ip(host, `address add fe80::1/64 dev ${port} nodad`);
      this.#ip(name, "route add default via fe80::1 dev eth0");
      const gateway = style === "proxy" ? "169.254.1.1" : `10.70.${number}.1`;
      if (style === "proxy") this.#set(host, `net.ipv4.conf.${port}.proxy_arp=1`);
      else this.#ip(host, `address add ${gateway}/32 dev ${port}`);
      this.#ip(name, `route add ${gateway} dev eth0 scope link`);
      this.#ip(name, `route add default via ${gateway} dev eth0`);
    }
    // The node's before the pod's, so that each is one batch.
    const lines = this.#lines.splice(before);
    const own = (line: string) => line.includes(`-n ${name} `);
    this.#lines.push(...lines.filter((line) => !own(line)), ...lines.filter(own));
    this.#listen(pod);
  }

  #listen({ name, v4, v6 }: Pod): void {
    const { dice } = this;
    for (const [protocol, port] of [["tcp", TCP_PORT], ["udp", UDP_PORT]] as const) {
      const kind = dice.below(10);
      const plain = { namespace: name, protocol, port, v6only: true };
      if (kind < 6) {
        this.#listening.push({ ...plain, family: 6, address: "::", v6only: false });
      } else if (kind < 8) {
        this.#listening.push({ ...plain, family: 4, address: dice.of([v4, "0.0.0.0"]) });
        this.#listening.push({ ...plain, family: 6, address: dice.of([v6, "::"]) });
      } else if (kind === 8) {
        this.#listening.push({ ...plain, family: 4, address: "127.0.0.1" });
      }
    }
  }

  #switch(): void {
    const name = `${this.prefix}s`;
    this.#ip(name, "link add br0 type bridge forward_delay 0");
    this.#ip(name, "link set br0 up");
    for (const one of this.#nodes) {
      const { name: node, number, v4, v6, uplink } = one;
      for (const [where, line] of uplinkLines(uplink, node, number, name)) this.#ip(where, line);
      this.#enslave(one, "eth0");
      this.#ip(node, "link set eth0 up");
      this.#ip(node, `address add ${v4}/24 dev eth0`);
      this.#ip(node, `address add ${v6}/64 dev eth0 nodad`);
    }
  }

  /** Routes to the other nodes' pods. */
  #between(node: Node): void {
    const { name, number } = node;
    const vxlan = this.#way === "vxlan";
    const known = this.dice.chance(0.7);
    if (typeof this.#way === "object") return this.#tunnels(node, this.#way);
    if (vxlan) {
      this.#ip(
        name,
        `link add vx type vxlan id 7 dstport 8472 local ${this.#under(node)} dev eth0` +
          (known ? " nolearning" : ""),
      );
      this.#enslave(node, "vx");
      this.#ip(name, `link set vx address 02:bb:00:00:00:0${number} up`);
      this.#ip(name, `address add 10.71.0.${number}/${known ? 32 : 24} dev vx`);
      this.#ip(name, `address add fd71::${number}/${known ? 128 : 64} dev vx nodad`);
    }
    for (const other of this.#nodes) {
      if (other === node) continue;
      const far = other.number;
      if (!vxlan) {
        this.#leads(node, `route add 10.70.${far}.0/24 via ${other.v4}`);
        this.#leads(node, `route add fd70:${far}::/64 via ${other.v6}`);
        continue;
      }
      const mac = `02:bb:00:00:00:0${far}`;
      if (known) {
        this.#lines.push(`bridge -n ${name} fdb append ${mac} dev vx dst ${this.#under(other)}`);
        this.#ip(name, `neigh replace 10.71.0.${far} lladdr ${mac} dev vx nud permanent`);
        this.#ip(name, `neigh replace fd71::${far} lladdr ${mac} dev vx nud permanent`);
      } else {
        this.#lines.push(
          `bridge -n ${name} fdb append 00:00:00:00:00:00 dev vx dst ${this.#under(other)}`,
        );
      }
      this.#leads(node, `route add 10.70.${far}.0/24 via 10.71.0.${far} dev vx onlink`);
      this.#leads(node, `route add fd70:${far}::/64 via fd71::${far} dev vx onlink`);
    }
  }

  #tunnels(node: Node, kind: TunnelKind): void {
    const made = new Set<string>();
    for (const other of this.#nodes) {
      if (other === node) continue;
      const device = tunnelDevice(kind, other);
      const enslave = node.vrf === undefined ? [] : [node.vrf];
      const links = made.has(device) ? [] : tunnelLinks(kind, node, other, enslave);
      made.add(device);
      for (const line of links) this.#ip(node.name, line);
      for (const line of tunnelRoutes(kind, node, other)) this.#leads(node, line);
    }
  }

  /** Puts a device into the node's VRF, if it has one. */
  #enslave({ name, vrf }: Node, device: string): void {
    if (vrf !== undefined) this.#ip(name, `link set ${device} master ${vrf}`);
  }

  /** A route in the table that the node's devices ask. */
  #leads({ name, vrf }: Node, line: string): void {
    this.#ip(name, vrf === undefined ? line : `${line} vrf ${vrf}`);
  }

  /** The address that tunnels use. */
  #under(node: Node): string {
    return this.#six ? node.v6 : node.v4;
  }

  #settle(node: Node): void {
    const { name } = node;
    this.#set(name, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
    this.#set(name, `net.bridge.bridge-nf-call-iptables=${this.dice.below(2)}`);
    this.#set(name, `net.bridge.bridge-nf-call-ip6tables=${this.dice.below(2)}`);
    if (this.dice.chance(0.5)) this.#service(node);
    if (this.dice.chance(0.4)) {
      this.#rule(name, 4, "nat", "-A POSTROUTING -s 10.70.0.0/16 ! -d 10.70.0.0/16 -j MASQUERADE");
    }
  }

  /** A virtual address that leads to a pod, as kube-proxy makes it. */
  #service(node: Node): void {
    const { name, number } = node;
    const pod = this.dice.of(this.#nodes.flatMap(({ pods }) => pods));
    const address = `10.96.0.${number}`;
    this.#services.push(address);
    const hop = this.dice.of(["-j KUBE-SVC", "-m addrtype ! --dst-type LOCAL -j KUBE-SVC"]);
    this.#rule(name, 4, "nat", ":KUBE-SVC - [0:0]");
    this.#rule(name, 4, "nat", ":KUBE-MARK - [0:0]");
    for (const chain of ["PREROUTING", "OUTPUT"]) {
      const match = `-A ${chain} -d ${address}/32 -p tcp -m tcp --dport ${SERVICE_PORT}`;
      this.#rule(name, 4, "nat", `${match} ${hop}`);
    }
    if (this.dice.chance(0.6)) {
      this.#rule(name, 4, "nat", "-A KUBE-SVC -j KUBE-MARK");
      this.#rule(name, 4, "nat", "-A KUBE-MARK -j MARK --set-xmark 0x4000/0x4000");
      const marked = "-m mark --mark 0x4000/0x4000 -j MASQUERADE";
      this.#rule(name, 4, "nat", `-A POSTROUTING ${marked}`);
    }
    const to = `${pod.v4}:${this.dice.chance(0.8) ? TCP_PORT : SHUT_PORT}`;
    this.#rule(name, 4, "nat", `-A KUBE-SVC -p tcp -m tcp -j DNAT --to-destination ${to}`);
    // Without a route of its own it goes by the default; nodes have none.
    this.#leads(node, `route add ${address}/32 dev eth0`);
  }

  /** Something that may stop packets. */
  #disturb(): void {
    const { dice } = this;
    const node = dice.of(this.#nodes);
    const pod = dice.of(node.pods);
    const kinds = [
      ...[this.#filter, this.#filter, this.#filter, this.#setting, this.#setting, this.#route],
      ...[this.#route, this.#policy, this.#policy, this.#device, this.#bridge, this.#neighbour],
      ...[
        this.#native,
        this.#native,
        this.#native,
        this.#several,
        this.#translate,
        this.#translate,
        this.#listed,
        this.#lottery,
      ],
      ...(this.seed < MORE_FROM ? [] : [
        ...[this.#bridged, this.#bridged, this.#early, this.#addresses, this.#addresses],
        ...[this.#mapped, this.#rerouted],
      ]),
      ...(this.seed < NEIGHBOURS_FROM || this.seed >= ROUTES_ASKED_FROM
        ? []
        : Array.from({ length: 9 }, () => this.#asking)),
      ...(this.seed < ROUTES_ASKED_FROM
        ? []
        : Array.from({ length: 30 }, (_, at) => at % 2 === 0 ? this.#asksRoutes : this.#odd)),
    ];
    dice.of(kinds).call(this, node, pod);
  }

  #filter(node: Node, pod: Pod): void {
    const { dice } = this;
    const family = dice.chance(0.7) ? 4 : 6;
    const other = dice.of(this.#nodes.flatMap(({ pods }) => pods));
    const name = dice.of([node.name, node.name, pod.name]);
    const address = (of: Pod) => family === 4 ? of.v4 : of.v6;
    const host = dice.of(this.#nodes);
    const nodeAddress = family === 4 ? host.v4 : host.v6;
    const subnet = family === 4 ? `10.70.${host.number}.0/24` : `fd70:${host.number}::/64`;
    const matches = [
      ...[`-s ${address(pod)}`, `-d ${address(other)}`, `-s ${subnet}`, `! -s ${subnet}`],
      ...[`-s ${nodeAddress}`, `-p tcp -m tcp --dport ${TCP_PORT}`, "-p udp", "-p tcp"],
      ...["-m conntrack --ctstate NEW", "-m conntrack --ctstate ESTABLISHED"],
      ...["-m conntrack --ctstate INVALID", `-p udp -m udp --dport 8472`],
      ...[`-m addrtype --dst-type LOCAL`, `-m mark --mark 0x1/0x1`],
      ...[`-p tcp -m multiport --dports 22,${TCP_PORT}`, "-m conntrack ! --ctstate NEW"],
      ...(this.wide ? OUTER_MATCHES : []),
    ];
    const chain = dice.of(["INPUT", "FORWARD", "OUTPUT", "FORWARD"]);
    const inDevice = chain === "OUTPUT" ? "" : dice.of(["", "", "-i eth0", "! -i eth0", "-i v+"]);
    const outDevice = chain === "INPUT" ? "" : dice.of(["", "", "-o eth0", "! -o eth0", "-o v1"]);
    const target = dice.of(["DROP", "DROP", "DROP", "REJECT", "ACCEPT", "RETURN"]);
    const match = [dice.of(matches), inDevice, outDevice].filter((each) => each !== "").join(" ");
    const place = dice.of(["filter", "filter", "filter", "mangle", "raw"]);
    if (place === "filter") {
      return this.#rule(name, family, "filter", `-A ${chain} ${match} -j ${target}`);
    }
    if (place === "mangle") {
      const mark = dice.of(["MARK --set-xmark 0x1/0x1", "DROP", "MARK --set-xmark 0x2/0xffffffff"]);
      const hook = dice.of(["PREROUTING", "OUTPUT", "FORWARD"]);
      const plain = dice.of(["-p tcp", "-p udp", `-s ${address(pod)}`, `-d ${address(other)}`]);
      return this.#rule(name, family, "mangle", `-A ${hook} ${plain} -j ${mark}`);
    }
    const hook = dice.of(["PREROUTING", "OUTPUT"]);
    const plain = dice.of(["-p tcp", "-p udp", `-s ${address(pod)}`]);
    this.#rule(
      name,
      family,
      "raw",
      `-A ${hook} ${plain} -j ${dice.of(["DROP", "NOTRACK", "ACCEPT"])}`,
    );
  }

  #setting(node: Node, pod: Pod): void {
    const { dice } = this;
    const device = dice.of(["all", "eth0", pod.port, node.style === "bridge" ? "br0" : pod.port]);
    const setting = dice.of([
      `net.ipv4.conf.${device}.rp_filter=${1 + dice.below(2)}`,
      `net.ipv4.conf.${device}.rp_filter=1`,
      `net.ipv4.conf.${device}.forwarding=0`,
      "net.ipv6.conf.all.forwarding=0",
      `net.ipv4.conf.${device}.arp_ignore=${1 + dice.below(2)}`,
      `net.ipv4.conf.${device}.arp_filter=1`,
      `net.ipv4.conf.${device}.proxy_arp=${dice.below(2)}`,
      `net.ipv4.conf.${device}.src_valid_mark=1`,
      `net.ipv6.conf.${device === "all" ? "eth0" : device}.disable_ipv6=1`,
      "net.ipv4.conf.all.accept_local=1",
    ]);
    this.#set(node.name, setting);
    if (dice.chance(0.2)) this.#set(pod.name, `net.ipv4.conf.eth0.rp_filter=${1 + dice.below(2)}`);
  }

  #route(node: Node, pod: Pod): void {
    const { dice } = this;
    const other = dice.of(this.#nodes.flatMap(({ pods }) => pods));
    const six = dice.chance(0.3);
    const to = six ? `${other.v6}/128` : `${other.v4}/32`;
    const wide = six ? `fd70:${other.node.number}::/64` : `10.70.${other.node.number}.0/24`;
    const via = dice.of(this.#nodes);
    const gateway = six ? via.v6 : via.v4;
    const where = dice.of([node.name, node.name, pod.name]);
    const type = dice.of(["blackhole", "unreachable", "prohibit", "throw"]);
    const choices = [
      `route replace ${type} ${dice.of([to, wide])} metric 3`,
      `route replace ${to} dev eth0`,
      `route replace ${to} via ${gateway} dev eth0 onlink`,
      `route delete default`,
      `route replace ${to} dev eth0 metric 50`,
    ];
    this.#try(where, dice.of(choices), six);
  }

  #policy(node: Node, pod: Pod): void {
    const { dice } = this;
    const other = dice.of(this.#nodes.flatMap(({ pods }) => pods));
    const six = dice.chance(0.3);
    const [from, to] = six ? [pod.v6, other.v6] : [pod.v4, other.v4];
    const table = 100 + dice.below(2);
    const selectors = dice.of([
      ...[`from ${from}`, `to ${to}`, "fwmark 0x1/0x1", "fwmark 0x2", `iif ${pod.port}`],
      ...["iif eth0", "ipproto tcp", `dport ${TCP_PORT} ipproto tcp`, `not from ${from}`],
      ...["iif lo", "tos 0x10", "uidrange 5-6", "oif eth0"],
    ]);
    const action = dice.of([
      ...[`table ${table}`, `table ${table}`, "prohibit", "blackhole", "unreachable"],
      ...[`table main suppress_prefixlength 0`, "goto 32766"],
    ]);
    this.#try(node.name, `rule add ${selectors} ${action} priority ${500 + dice.below(400)}`, six);
    const via = dice.of(this.#nodes);
    const gateway = six ? via.v6 : via.v4;
    this.#try(
      node.name,
      dice.of([
        `route replace default via ${gateway} dev eth0 onlink table ${table}`,
        `route replace blackhole default table ${table}`,
        `route replace throw default table ${table}`,
        `route replace ${to} dev ${pod.port} table ${table}`,
      ]),
      six,
    );
  }

  #device(node: Node, pod: Pod): void {
    const { dice } = this;
    const [where, device] = dice.of([
      [node.name, pod.port],
      [pod.name, "eth0"],
      [node.name, "eth0"],
      [pod.name, "lo"],
      ...(node.style === "bridge" ? [[node.name, "br0"] as const] : []),
      ...(this.#way === "vxlan" ? [[node.name, "vx"] as const] : []),
      ...this.#lower(node),
    ]);
    this.#ip(where, `link set ${device} down`);
  }

  /** Devices that others stand on, and tunnels. */
  #lower(node: Node): (readonly [namespace: string, device: string])[] {
    const [first = node] = this.#nodes.filter((other) => other !== node);
    const way = this.#way;
    return [
      ...(node.uplink === "cable" ? [] : [[node.name, "up0"] as const]),
      ...(typeof way === "object" ? [[node.name, tunnelDevice(way, first)] as const] : []),
      ...(node.vrf === undefined ? [] : [[node.name, node.vrf] as const]),
    ];
  }

  #bridge(node: Node, pod: Pod): void {
    if (node.style !== "bridge") return;
    const { dice } = this;
    const what = dice.of([
      ...["isolated on", "hairpin on", "flood off", "learning off", "isolated on", "state 4"],
    ]);
    this.#lines.push(`bridge -n ${node.name} link set dev ${pod.port} ${what} 2>/dev/null || true`);
    for (const other of node.pods) {
      if (!dice.chance(0.4)) continue;
      this.#lines.push(
        `bridge -n ${node.name} link set dev ${other.port} ${what} 2>/dev/null || true`,
      );
    }
    if (!dice.chance(0.3)) return;
    this.#try(node.name, "link set br0 type bridge vlan_filtering 1", false);
    const vlan = dice.of([1, 10]);
    this.#lines.push(
      `bridge -n ${node.name} vlan add dev ${pod.port} vid ${vlan} pvid untagged` + MAY_FAIL,
    );
    if (dice.chance(0.5)) {
      this.#lines.push(
        `bridge -n ${node.name} vlan add dev br0 vid ${vlan} pvid untagged self` + MAY_FAIL,
      );
    }
  }

  #neighbour(node: Node, pod: Pod): void {
    const { dice } = this;
    const device = node.style === "bridge" ? "br0" : pod.port;
    const mac = dice.of([`${MAC}99`, `${MAC}${node.number}1`]);
    const address = dice.of([pod.v4, pod.v6]);
    this.#ip(node.name, `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`);
  }

  /** A route with several hops, of which one may be wrong. */
  #several(node: Node): void {
    const { dice } = this;
    const far = dice.of(this.#nodes);
    const hops = [far, dice.of(this.#nodes)].map(({ v4 }) =>
      `nexthop via ${v4} dev eth0 weight ${1 + dice.below(3)}`
    );
    this.#try(node.name, `route replace 10.70.${far.number}.0/24 ${hops.join(" ")}`, false);
  }

  /** Addresses and ports that are changed on the way. */
  #translate(node: Node, pod: Pod): void {
    const { dice } = this;
    const family = dice.chance(0.7) ? 4 : 6;
    const other = dice.of(this.#nodes.flatMap(({ pods }) => pods));
    const plain = (of: Pod) => family === 4 ? of.v4 : of.v6;
    const to = (port: number) => family === 4 ? `${other.v4}:${port}` : `[${other.v6}]:${port}`;
    const own = family === 4 ? node.v4 : node.v6;
    this.#rule(
      node.name,
      family,
      "nat",
      dice.of([
        `-A POSTROUTING -s ${plain(pod)} -o eth0 -j MASQUERADE`,
        `-A POSTROUTING -s ${plain(pod)} -j SNAT --to-source ${own}`,
        `-A POSTROUTING -d ${plain(other)} -j MASQUERADE`,
        `-A PREROUTING -d ${plain(pod)} -p tcp -m tcp --dport ${TCP_PORT} ` +
        `-j DNAT --to-destination ${to(dice.of([TCP_PORT, SHUT_PORT]))}`,
        `-A PREROUTING -d ${own} -p tcp -m tcp --dport ${TCP_PORT} ` +
        `-j DNAT --to-destination ${to(TCP_PORT)}`,
        `-A OUTPUT -d ${plain(pod)} -p udp -m udp --dport ${UDP_PORT} ` +
        `-j DNAT --to-destination ${to(UDP_PORT)}`,
        `-A PREROUTING -s ${plain(pod)} -p tcp -m tcp --dport ${SHUT_PORT} ` +
        `-j REDIRECT --to-ports ${TCP_PORT}`,
        `-A PREROUTING -p udp -m udp --dport ${UDP_PORT} -j REDIRECT --to-ports ${UDP_PORT}`,
      ]),
    );
    if (!dice.chance(0.4)) return;
    for (const [protocol, port] of [["tcp", TCP_PORT], ["udp", UDP_PORT]] as const) {
      const here = { namespace: node.name, protocol, port, address: "::", v6only: false } as const;
      if (this.#listening.some((each) => each.namespace === node.name && each.port === port)) {
        continue;
      }
      this.#listening.push({ ...here, family: 6 });
    }
  }

  /** A table of native nftables. */
  #native(node: Node, pod: Pod): void {
    const { dice } = this;
    const other = dice.of(this.#nodes.flatMap(({ pods }) => pods));
    const name = dice.of([node.name, node.name, pod.name]);
    const match = dice.of([
      ...[`ip saddr ${pod.v4}`, `ip daddr { ${other.v4}, 10.1.1.1 }`, `ip6 saddr ${pod.v6}`],
      ...[`tcp dport ${TCP_PORT}`, `udp dport 5000-6000`, "ct state new", "ct state established"],
      ...["meta l4proto udp", "meta mark 1", `ip saddr . tcp dport { ${pod.v4} . ${TCP_PORT} }`],
      ...['iifname "eth0"', 'oifname "v*"', `ip daddr 10.70.${node.number}.0/24`],
      ...["meta nfproto ipv6", `ip saddr != 10.70.${node.number}.0/24`, "udp dport 8472"],
      ...(this.wide ? OUTER_EXPRESSIONS : []),
    ]);
    const hook = dice.of(["prerouting", "input", "forward", "output", "postrouting"]);
    const does = dice.of(["drop", "drop", "reject", "accept", "meta mark set 1", "counter drop"]);
    const early = ["prerouting", "postrouting"].includes(hook);
    const verdict = does === "reject" && early ? "drop" : does;
    if (dice.chance(0.2)) {
      const address = dice.of(["ip saddr 10.70.0.0/16 masquerade", "masquerade", "counter accept"]);
      this.#lines.push(
        `ip netns exec ${node.name} nft 'table ip ${dice.of(["nat", "own"])} { chain natives { ` +
          `type nat hook postrouting priority 100; oifname "eth0" ${address}; }; }'`,
      );
    }
    const policy = dice.chance(0.1) ? " policy drop;" : "";
    const also = dice.chance(0.3) ? "ct state vmap { established : accept, invalid : drop }; " : "";
    const priority = dice.of([-300, -150, 0, 0, 10]);
    this.#lines.push(
      `ip netns exec ${name} nft 'table inet t${this.#sets++} { chain c { ` +
        `type filter hook ${hook} priority ${priority};${policy} ${also}${match} ${verdict}; }; }'`,
    );
  }

  /** Rules of a bridge's own. */
  #bridged(node: Node, pod: Pod): void {
    const { dice } = this;
    const [where, ports] = node.style === "bridge" && dice.chance(0.7)
      ? [node.name, node.pods.map(({ port }) => port)] as const
      : [`${this.prefix}s`, this.#nodes.map(({ number }) => `n${number}`)] as const;
    const other = dice.of(this.#nodes.flatMap(({ pods }) => pods));
    const hook = dice.of(["prerouting", "input", "forward", "output", "postrouting"]);
    const device = ["output", "postrouting"].includes(hook) ? "oifname" : "iifname";
    const match = dice.of([
      ...[`${device} "${dice.of(ports)}"`, `ip saddr ${pod.v4}`, `ip daddr ${other.v4}`],
      ...[`ip6 daddr ${other.v6}`, `tcp dport ${TCP_PORT}`, "meta l4proto udp", "udp dport 8472"],
      ...[`ether saddr ${MAC}${node.number}1`, `ether daddr ${MAC}${node.number}0`],
      ...[`ether saddr != ${MAC}${node.number}1 ip saddr ${pod.v4}`, "meta mark 1"],
    ]);
    const does = dice.of(["drop", "drop", "accept", "meta mark set 1"]);
    const priority = dice.of([-300, -200, 0, 10]);
    this.#lines.push(
      `ip netns exec ${where} nft 'table bridge b${this.#sets++} { chain c { ` +
        `type filter hook ${hook} priority ${priority}; ${match} ${does}; }; }'`,
    );
  }

  /** Rules before all others, on one device. */
  #early(node: Node, pod: Pod): void {
    const { dice } = this;
    const [where, device] = dice.of([
      [node.name, "eth0"],
      [node.name, pod.port],
      [pod.name, "eth0"],
    ]);
    const family = dice.of(["netdev", "inet"]);
    const hook = family === "netdev" ? dice.of(["ingress", "ingress", "egress"]) : "ingress";
    const match = dice.of([
      ...[`ip saddr ${pod.v4}`, `ip6 daddr ${pod.v6}`, `tcp dport ${TCP_PORT}`, "udp dport 8472"],
      ...["meta l4proto udp", `ip daddr 10.70.${node.number}.0/24`, "ip protocol tcp"],
    ]);
    const does = dice.of(["drop", "drop", "accept", "meta mark set 1"]);
    this.#lines.push(
      `ip netns exec ${where} nft 'table ${family} e${this.#sets++} { chain c { ` +
        `type filter hook ${hook} device "${device}" priority 0; ${match} ${does}; }; }'`,
    );
  }

  /** Rules that ask the routes, or whom a frame comes from. */
  #asksRoutes(node: Node, pod: Pod): void {
    const { dice } = this;
    const { name } = dice.of([node, node, pod]);
    const family = dice.chance(0.7) ? 4 : 6;
    const port = dice.of(node.pods).port;
    if (dice.chance(0.5)) {
      const [table, chain, match] = dice.of([
        ...["", " --loose", " --invert", " --validmark", " --accept-local", " --loose --invert"]
          .map((option) => ["raw", "PREROUTING", `-m rpfilter${option}`] as const),
        ...["--dst-type LOCAL --limit-iface-in", "--src-type UNICAST --limit-iface-in"]
          .map((asked) => ["mangle", "PREROUTING", `-m addrtype ${asked}`] as const),
        ["filter", "FORWARD", "-m addrtype --dst-type UNICAST --limit-iface-out"],
        ["filter", "FORWARD", "-m addrtype ! --dst-type UNICAST"],
        ["filter", "INPUT", "-m addrtype --dst-type LOCAL --limit-iface-in"],
        ["filter", "FORWARD", `-m physdev --physdev-in ${port}`],
        ["filter", "FORWARD", `-m physdev ! --physdev-in ${port}`],
        ["filter", "FORWARD", `-m physdev --physdev-out ${port} --physdev-is-bridged`],
        ["filter", "FORWARD", "-m physdev --physdev-is-bridged"],
        ["filter", "INPUT", "-m physdev --physdev-is-in"],
        ["mangle", "PREROUTING", "-m pkttype ! --pkt-type unicast"],
        ["mangle", "POSTROUTING", `-m physdev --physdev-is-bridged --physdev-out ${port}`],
      ]);
      this.#rule(name, family, table, `-A ${chain} ${match} -j DROP`);
      return;
    }
    const hook = dice.of(["prerouting", "input", "forward"]);
    const match = dice.of([
      ...["fib saddr . iif oif missing", "fib saddr . iif oif exists", "fib saddr oif missing"],
      ...["fib daddr type != local", "fib daddr . iif type local", "fib saddr type unicast"],
      ...["fib saddr . mark . iif oif missing", "meta iiftype ether", "meta pkttype != host"],
      ...["meta length > 60", "ct status snat", "ct status assured", "ct state != new,established"],
      ...["ct direction reply", "ct original ip daddr 10.96.0.0/16", "meta iifkind veth"],
    ]);
    const more = dice.of(["", "", "meta l4proto udp ", "meta l4proto tcp "]);
    this.#lines.push(
      `ip netns exec ${name} nft 'table inet f${this.#sets++} { chain c { ` +
        `type filter hook ${hook} priority ${dice.of([-150, 0])}; ${more}${match} drop; }; }'` +
        MAY_FAIL,
    );
  }

  /** Settings of bridges' ports, rules of policy routing, and routes that are seldom. */
  #odd(node: Node, pod: Pod): void {
    const { dice } = this;
    const other = dice.of(this.#nodes.flatMap(({ pods }) => pods));
    const { name } = node;
    const six = dice.chance(0.3);
    const [where, port] = node.style === "bridge" && dice.chance(0.6)
      ? [name, pod.port] as const
      : [`${this.prefix}s`, `n${node.number}`] as const;
    const setting = dice.of([
      ...["mcast_flood off", "bcast_flood off", "locked on", "learning off", "neigh_suppress on"],
      ...["flood off", "isolated on"],
    ]);
    const frames = dice.of([
      ...["ct state established drop", "ct state new drop", "meta pkttype other drop"],
      ...["meta pkttype host drop", "meta length > 60 drop", "meta iiftype != ether drop"],
      ...["ip ttl set 1", "ip dscp set cs1", "ip daddr set 10.9.9.9", "meta protocol ip drop"],
    ]);
    const hook = dice.of(["prerouting", "input", "forward", "output", "postrouting"]);
    dice.of([
      () => this.#try(where, `link set ${port} type bridge_slave ${setting}`, false),
      () => this.#try(where, `link set ${port} type bridge_slave ${setting}`, false),
      () =>
        void this.#lines.push(
          `ip netns exec ${where} nft 'table bridge o${this.#sets++} { chain c { ` +
            `type filter hook ${hook} priority 0; ${frames}; }; }'` + MAY_FAIL,
        ),
      () =>
        void this.#lines.push(
          `ip netns exec ${name} nft 'table netdev o${this.#sets++} { chain c { type filter ` +
            `hook ${dice.of(["ingress", "egress"])} device "${dice.of(["eth0", pod.port])}" ` +
            `priority 0; ${frames}; }; }'` + MAY_FAIL,
        ),
      () => {
        this.#try(name, `link set ${dice.of(["eth0", pod.port])} group 5`, false);
        const rule = `rule add table main suppress_ifgroup 5 priority ${300 + dice.below(9)}`;
        this.#try(name, rule, six);
        this.#try(name, `rule add ${dice.of(["prohibit", "table main"])} priority 310`, six);
      },
      () => {
        const to = six ? `${other.v6}/128` : `${other.v4}/32`;
        const far = six ? "ip6 id 7 dst fd77::9" : "ip id 7 dst 192.168.77.9";
        this.#try(name, `route replace ${to} encap ${far} dev eth0`, six);
      },
    ])();
  }

  /** Rules about who asks for a neighbour, and who answers. */
  #asking(node: Node, pod: Pod): void {
    const { dice } = this;
    const other = dice.of(this.#nodes.flatMap(({ pods }) => pods));
    const [where, device] = dice.of([
      ...[[node.name, "eth0"], [node.name, node.style === "bridge" ? "br0" : pod.port]] as const,
      ...[[pod.name, "eth0"], [`${this.prefix}s`, `n${node.number}`]] as const,
    ]);
    const [family, hook] = dice.of([
      ...[["arp", "input"], ["arp", "output"], ["arp", "input"], ["arp", "output"]] as const,
      ...[["netdev", "ingress"], ["netdev", "egress"], ["inet", "input"]] as const,
    ]);
    const four = dice.of([
      ...["arp operation request", "arp operation reply", `arp saddr ip ${pod.v4}`],
      ...[`arp daddr ip ${other.v4}`, `arp saddr ip 10.70.${node.number}.0/24`],
      ...[`arp saddr ether ${MAC}${node.number}1`, `arp saddr ip != ${node.v4}`, "arp htype 1"],
    ]);
    const [near, unicast] = [`iifname "${device}" `, "meta pkttype host "];
    const six = dice.of([
      ...["icmpv6 type nd-neighbor-solicit", "icmpv6 type nd-neighbor-advert"],
      ...[`ip6 saddr ${pod.v6}`, `ip6 daddr ff02::/16`, "meta l4proto ipv6-icmp"],
    ]);
    const match = family === "arp" ? four : family === "inet" ? six : dice.of([four, four, six]);
    const first = family !== "arp" ? "" : dice.of(["", "", hook === "input" ? near : "", unicast]);
    const does = dice.of(["drop", "drop", "drop", "accept", "meta mark set 1"]);
    const more = dice.chance(0.2) && family === "arp" ? "meta mark 1 drop; " : "";
    const at = family === "netdev" ? ` device "${device}"` : "";
    this.#lines.push(
      `ip netns exec ${where} nft 'table ${family} r${this.#sets++} { chain c { ` +
        `type filter hook ${hook}${at} priority 0; ${first}${match} ${does}; ${more}}; }'`,
    );
  }

  /** Several addresses on one device, of which one is chosen where a rule says so. */
  #addresses(node: Node): void {
    const { dice } = this;
    const { name, number } = node;
    for (let at = 1 + dice.below(3); at > 0; at--) {
      const [four, six] = [
        dice.of([`192.168.77.${20 + number}/24`, `192.168.77.${30 + number}/32`]),
        dice.of([`fd77::${20 + number}/64`, `2001:db8::${number}/64`]),
      ];
      const other = dice.of([four, `10.9.${number}.1/24`]);
      this.#try(name, `address add ${other} dev eth0`, false);
      const life = dice.of(["", " preferred_lft 0"]);
      this.#try(name, `address add ${six} dev eth0 nodad${life}`, true);
    }
    const family = dice.of([4, 6] as const);
    const to = family === 4 ? "10.70.0.0/16" : "fd70::/16";
    this.#rule(
      name,
      family,
      "nat",
      dice.of([
        `-A POSTROUTING -s ${to} -o eth0 -j MASQUERADE`,
        `-A POSTROUTING -d ${to} -o eth0 -j MASQUERADE`,
        `-A PREROUTING -i eth0 -p udp -m udp --dport ${UDP_PORT} -j REDIRECT`,
      ]),
    );
  }

  /** A network that is another one. */
  #mapped({ name, number }: Node): void {
    const { dice } = this;
    const far = dice.of(this.#nodes);
    this.#services.push(`10.98.${number}.${2 + dice.below(2)}`);
    const to = `-d 10.98.${number}.0/24 -j NETMAP --to 10.70.${far.number}.0/24`;
    this.#rule(name, 4, "nat", `-A PREROUTING ${to}`);
    this.#rule(name, 4, "nat", `-A OUTPUT ${to}`);
    const port = `-p tcp -m tcp --dport ${SERVICE_PORT} -j REDIRECT --to-ports ${TCP_PORT}`;
    const into = `-d 10.70.${far.number}.0/24`;
    for (const pod of far.pods) this.#rule(pod.name, 4, "nat", `-A PREROUTING ${into} ${port}`);
    this.#try(name, `route add 10.98.${number}.0/24 dev eth0`, false);
  }

  /** A mark that sends what the namespace sends another way. */
  #rerouted(node: Node, pod: Pod): void {
    const { dice } = this;
    const family = dice.chance(0.7) ? 4 : 6;
    const { name } = dice.of([node, pod]);
    const protocol = dice.of(["tcp", "udp"]);
    const mark = "-j MARK --set-xmark 0x5/0xffffffff";
    this.#rule(name, family, "mangle", `-A OUTPUT -p ${protocol} ${mark}`);
    this.#try(name, "rule add fwmark 5 table 105 priority 400", family === 6);
    const ways = name === pod.name
      ? ["blackhole default", "throw default", "default dev eth0", "default dev lo"]
      : ["blackhole default", "throw default", "default dev eth0", `default dev ${pod.port}`];
    this.#try(name, `route add ${dice.of(ways)} table 105`, family === 6);
  }

  /** A pod beside the pods: on a macvlan device of the node's, in the nodes' own network. */
  #beside(node: Node): void {
    const { dice } = this;
    const name = `${node.name}m`;
    const at = 100 + node.number;
    this.#extra.push({ ...{ name, node, port: "", v4: `192.168.77.${at}`, v6: `fd77::${at}` } });
    const mode = dice.of(["bridge", "private", "vepa"]);
    if (this.wide && dice.chance(0.6)) {
      const kind = dice.of(["l2", "l2", "l3", "l3s", "l2 private", "l2 vepa"]);
      this.#ip(node.name, `link add mv0 link eth0 type ipvlan mode ${kind}`);
      this.#ip(node.name, `link set mv0 netns ${name} name eth0`);
      this.#ip(name, "link set eth0 up");
    } else {
      this.#ip(node.name, `link add mv0 link eth0 type macvlan mode ${mode}`);
      this.#ip(node.name, `link set mv0 netns ${name} name eth0`);
      this.#ip(name, `link set eth0 address ${MAC}${node.number}f up`);
    }
    this.#ip(name, `address add 192.168.77.${at}/24 dev eth0`);
    this.#ip(name, `address add fd77::${at}/64 dev eth0 nodad`);
    for (const { number, v4, v6 } of this.#nodes) {
      this.#ip(name, `route add 10.70.${number}.0/24 via ${v4}`);
      this.#ip(name, `route add fd70:${number}::/64 via ${v6}`);
    }
  }

  /** A rule that asks a set. */
  #listed(node: Node, pod: Pod): void {
    const { dice } = this;
    const set = `s${this.#sets++}`;
    const [kind, entry, direction] = dice.of([
      ["hash:ip", pod.v4, "src"],
      ["hash:ip", pod.v4, "dst"],
      ["hash:net", `10.70.${node.number}.0/24`, "dst"],
      ["hash:ip,port", `${pod.v4},tcp:${TCP_PORT}`, "dst,dst"],
      ["hash:net,iface", `10.70.0.0/16,${pod.port}`, "src,src"],
      ["bitmap:port", `${TCP_PORT}`, "dst"],
    ]);
    const range = kind === "bitmap:port" ? " range 8000-9000" : "";
    this.#lines.push(`ip netns exec ${node.name} ipset create ${set} ${kind}${range}`);
    this.#lines.push(`ip netns exec ${node.name} ipset add ${set} ${entry}`);
    const not = dice.of(["", "! "]);
    const chain = dice.of(["FORWARD", "INPUT"]);
    const match = `-m set ${not}--match-set ${set} ${direction}`;
    this.#rule(node.name, 4, "filter", `-A ${chain} ${match} -j DROP`);
  }

  /** Chance decides, so that either may be. */
  #lottery({ name }: Node): void {
    const { dice } = this;
    const odds = dice.of([
      ...[
        "-m statistic --mode random --probability 0.5",
        "-m statistic --mode nth --every 2 --packet 0",
      ],
      ...["-m limit --limit 1/hour --limit-burst 2"],
    ]);
    this.#rule(name, 4, "filter", `-A FORWARD -p udp ${odds} -j ${dice.of(["DROP", "ACCEPT"])}`);
  }

  #questions(): readonly Asked[] {
    const { dice } = this;
    const pods = [...this.#nodes.flatMap((node) => node.pods), ...this.#extra];
    const asked: Asked[] = [];
    const count = 12 + dice.below(8);
    for (let at = 0; at < count; at++) {
      const family = dice.chance(0.65) ? 4 : 6;
      const [from, to] = [dice.of(pods), dice.of(pods)];
      const node = dice.of(this.#nodes);
      const sender = dice.chance(0.8)
        ? { name: from.name, address: family === 4 ? from.v4 : from.v6 }
        : { name: node.name, address: family === 4 ? node.v4 : node.v6 };
      const service = family === 4 && this.#services.length > 0 && dice.chance(0.2);
      const protocol = service || dice.chance(0.6) ? "tcp" : "udp";
      const destination = service
        ? dice.of(this.#services)
        : dice.chance(0.9)
        ? (family === 4 ? to.v4 : to.v6)
        : (family === 4 ? node.v4 : node.v6);
      const open = protocol === "tcp" ? TCP_PORT : UDP_PORT;
      asked.push({
        ...{ id: at, namespace: sender.name, protocol, family, source: sender.address },
        ...{ sourcePort: 41_000 + at, destination },
        port: service ? SERVICE_PORT : dice.chance(0.95) ? open : SHUT_PORT,
      });
    }
    return asked;
  }

  #rule(namespace: string, family: 4 | 6, table: string, line: string): void {
    const both = this.#rules.get(namespace) ?? { 4: [], 6: [] };
    this.#rules.set(namespace, both);
    both[family].push(`${table} ${line}`);
  }

  #restore(namespace: string): void {
    const both = this.#rules.get(namespace);
    if (both === undefined) return;
    const tool = this.dice.of(["iptables-legacy", "iptables-nft"]);
    for (const family of [4, 6] as const) {
      const tables = new Map<string, string[]>();
      for (const each of both[family]) {
        const [table = ""] = each.split(" ");
        tables.set(table, [...tables.get(table) ?? [], each.slice(table.length + 1)]);
      }
      if (tables.size === 0) continue;
      const text = [...tables].map(([table, lines]) => {
        const chains = lines.filter((line) => line.startsWith(":"));
        const rules = lines.filter((line) => !line.startsWith(":"));
        return [`*${table}`, ...new Set(chains), ...rules, "COMMIT"].join("\n");
      }).join("\n");
      const program = `${family === 4 ? tool : tool.replace("ip", "ip6")}-restore`;
      this.#lines.push(
        `ip netns exec ${namespace} ${program} --noflush <<'EOF'\n${text}\nEOF`,
      );
    }
  }

  #ip(namespace: string, line: string): void {
    this.#lines.push(`ip -n ${namespace} ${line}`);
  }

  /** What the kernel may refuse, as it depends on what else was done. */
  #try(namespace: string, line: string, six: boolean): void {
    this.#lines.push(`ip ${six ? "-6 " : "-4 "}-n ${namespace} ${line} 2>/dev/null || true`);
  }

  #set(namespace: string, ...settings: readonly string[]): void {
    this.#lines.push(`ip netns exec ${namespace} sysctl -qw ${settings.join(" ")}`);
  }
}
