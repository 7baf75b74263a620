/**
 * The predecessor's cases, end to end: two nodes with pods on flannel or Calico, with a fault that
 * somebody made, as real namespaces.
 *
 * @module
 */
import type { Asked, Listening } from "./topology.ts";

/** How pods are joined: flannel's bridge and routes, its vxlan, Calico's cables and BGP routes. */
export type Kind = "host-gw" | "vxlan" | "bgp";

/** Two nodes, two pods on the first and one on the second, and what joins the nodes. */
export const PLACES = ["n1", "n2", "p1", "p2", "q1", "s"] as const;
type Place = typeof PLACES[number];

/** A case. */
export interface Case {
  /** As it is numbered in the predecessor's list. */
  readonly name: string;
  readonly kind: Kind;
  /** `PLACE: words for ip`, or `PLACE! a command`. */
  readonly fault?: readonly string[];
  /** `p1 q1 80`, `n1 10.96.0.10 81` or `p1 p2 53 udp`. */
  readonly asked: string;
  /** Who listens where, besides the pods and nodes on TCP 80 and UDP 53. */
  readonly silent?: readonly Place[];
  /** `reachable`, or the verdict, the finding's place and its id. */
  readonly says: string;
  /** Of how many ways, if of more than one. */
  readonly ways?: number;
  /** Without the switch, as where no snapshot has what is between the nodes. */
  readonly alone?: true;
}

const ADDRESSES: Readonly<Record<string, string>> = {
  ...{ n1: "192.168.9.1", n2: "192.168.9.2" },
  ...{ p1: "10.244.1.2", p2: "10.244.1.3", q1: "10.244.2.2" },
};

const DOWN = "link set eth0 down";
const FLUSH = "route flush table main";
const SERVICE = "10.96.0.10";

/** Rules as kube-proxy makes them, of a service with two endpoints. */
const DRAW = "-m statistic --mode random --probability 0.5";
const BALANCED = ["PREROUTING", "OUTPUT"].flatMap((chain) => {
  const match = `-A ${chain} -d ${SERVICE} -p tcp --dport 81`;
  return [
    `iptables-legacy -t nat ${match} ${DRAW} -j DNAT --to 10.244.1.3:80`,
    `iptables-legacy -t nat ${match} -j DNAT --to 10.244.2.2:80`,
  ];
});
const EMPTY = [
  ...["FORWARD", "OUTPUT"].map((chain) =>
    `iptables-legacy -A ${chain} -d ${SERVICE} -p tcp --dport 80 -j REJECT`
  ),
  "ip route add default via 192.168.9.9",
];
const on = (places: readonly Place[], lines: readonly string[]) =>
  places.flatMap((place) => lines.map((line) => `${place}! ${line}`));

const GENERIC: readonly Omit<Case, "kind">[] = [
  { name: "G1 pod to pod", asked: "p1 q1 80", says: "reachable" },
  { name: "G2 pod to node", asked: "p1 n2 80", says: "reachable" },
  { name: "G3 node to node", asked: "n1 n2 80", says: "reachable" },
  {
    ...{ name: "G4 the pod's eth0 is down", fault: [`q1: ${DOWN}`], asked: "p1 q1 80" },
    says: "blocked n2 neighbour-unresolved",
  },
  // The predecessor calls it fatal; nothing of this goes by lo.
  {
    ...{ name: "G5 the pod's lo is down", fault: ["q1: link set lo down"] },
    ...{ asked: "p1 q1 80", says: "reachable" },
  },
  {
    ...{ name: "G6 nobody listens", silent: ["q1"], asked: "p1 q1 80" },
    says: "blocked q1 no-listener",
  },
  { name: "G7 on the same node", asked: "p1 p2 80", says: "reachable" },
  { name: "G8 pod to its node", asked: "p1 n1 80", says: "reachable" },
  { name: "G9 node to its pod", asked: "n1 p1 80", says: "reachable" },
  { name: "G10 UDP", asked: "p1 p2 53 udp", says: "reachable" },
  {
    ...{ name: "G11 node to pod without routes", fault: [`p1: ${FLUSH}`], asked: "n1 p1 80" },
    says: "blocked p1 no-route",
  },
  {
    ...{ name: "G12 pod without routes to node", fault: [`p1: ${FLUSH}`], asked: "p1 n1 80" },
    says: "blocked p1 no-route",
  },
  {
    ...{ name: "G13 the default route is by lo", asked: "p1 n1 80" },
    ...{ fault: [`p1: ${FLUSH}`, "p1: route add default dev lo"] },
    says: "blocked p1 *",
  },
  {
    ...{ name: "G14 rules in the pod", fault: ["p2! iptables-legacy -I INPUT -j DROP"] },
    ...{ asked: "p1 p2 80", says: "blocked p2 netfilter-drop" },
  },
  {
    ...{ name: "G15 pod to outside", alone: true, asked: "p1 123.123.123.123 80" },
    ...{ fault: ["n1: route add default via 192.168.9.254"] },
    says: "unknown n1 leaves-snapshot",
  },
  {
    ...{ name: "S1 two endpoints", fault: on(["n1", "n2"], BALANCED), ways: 2 },
    ...{ asked: `p1 ${SERVICE} 81`, says: "reachable" },
  },
  {
    ...{ name: "S2 pod to a service without endpoints", fault: on(["n1", "n2"], EMPTY) },
    ...{ asked: `p1 ${SERVICE} 80`, says: "blocked n1 netfilter-reject" },
  },
  {
    ...{ name: "S3 node to a service without endpoints", fault: on(["n1", "n2"], EMPTY) },
    ...{ asked: `n1 ${SERVICE} 80`, says: "blocked n1 netfilter-reject" },
  },
];

/** MTUs below the others' are no fault: TCP asks for segments that fit. */
const NARROW = ["p1: link set eth0 mtu 1400", "q1: link set eth0 mtu 1400"];
const ACROSS = "p1 q1 80";

/** All of them. */
export const CASES: readonly Case[] = [
  ...GENERIC.map((each): Case => ({ ...each, kind: "host-gw" })),
  ...[
    { name: "F1 MTU", fault: NARROW, says: "reachable" },
    {
      ...{ name: "F2 the bridge is down", fault: ["n1: link set cni0 down"] },
      says: "blocked p1 neighbour-unresolved",
    },
    {
      ...{ name: "F3 without its own pods' route", says: "blocked n2 no-route" },
      fault: ["n1: route delete 10.244.1.0/24", "n2: route delete 10.244.2.0/24"],
    },
    {
      ...{ name: "F4 the wrong next hop", says: "blocked n1 neighbour-unresolved" },
      fault: ["n1: route replace 10.244.2.0/24 via 192.168.9.9"],
    },
  ].map((each): Case => ({ ...each, kind: "host-gw", asked: ACROSS })),
  ...[
    { name: "V0 vxlan", says: "reachable" },
    { name: "V1 MTU", fault: NARROW, says: "reachable" },
    {
      ...{ name: "V2 flannel.1 is down", says: "blocked n1 no-route" },
      fault: ["n1: link set flannel.1 down", "n2: link set flannel.1 down"],
    },
    {
      ...{ name: "V3 the bridge is down", fault: ["n1: link set cni0 down"] },
      says: "blocked p1 neighbour-unresolved",
    },
    {
      ...{ name: "V4 without a route", fault: ["n1: route delete 10.244.2.0/24"] },
      says: "blocked n1 no-route",
    },
    {
      ...{ name: "V5 a route by eth0", says: "blocked n1 neighbour-unresolved" },
      fault: ["n1: route replace 10.244.2.0/24 dev eth0"],
    },
  ].map((each): Case => ({ ...each, kind: "vxlan", asked: ACROSS })),
  ...[
    { name: "C1 BGP", says: "reachable" },
    {
      ...{ name: "C2 the node's end is down", says: "blocked p1 *" },
      fault: ["n1: link set cp1 down", "n2: link set cq1 down"],
    },
    {
      ...{ name: "C3 without the pod's route", says: "blocked n2 route-refuses" },
      fault: ["n1: route delete 10.244.1.2", "n2: route delete 10.244.2.2"],
    },
    {
      ...{ name: "C5 the other pod's route by eth0", says: "blocked n1 neighbour-unresolved" },
      fault: ["n1: route add 10.244.2.2 dev eth0", "n2: route add 10.244.1.2 dev eth0"],
    },
  ].map((each): Case => ({ ...each, kind: "bgp", asked: ACROSS })),
];

/** What makes a case's network; `own` is what its names begin with. */
export function scriptOf({ kind, fault = [] }: Case, own: string): string {
  const lines = PLACES.flatMap((place) => [
    `ip netns add ${own}${place}`,
    `ip netns exec ${own}${place} sysctl -qw net.ipv6.conf.default.disable_ipv6=1`,
  ]);
  const batch = (place: Place, words: readonly string[]) =>
    lines.push(`ip -n ${own}${place} -batch - <<'EOF'\n${words.join("\n")}\nEOF`);
  batch("s", [
    ...["link add br0 type bridge forward_delay 0", "link set br0 up"],
    ...[1, 2].flatMap((node) => [
      `link add e${node} type veth peer name eth0 netns ${own}n${node}`,
      `link set e${node} master br0 up`,
    ]),
  ]);
  for (const node of [1, 2] as const) {
    const pods: readonly Place[] = node === 1 ? ["p1", "p2"] : ["q1"];
    batch(`n${node}`, [
      ...nodeLines(kind, node),
      ...pods.flatMap((pod) => podPort(kind, pod, own)),
    ]);
    for (const pod of pods) batch(pod, podLines(kind, node, ADDRESSES[pod] ?? ""));
    const proxy = pods.map((pod) => `net.ipv4.conf.c${pod}.proxy_arp=1`);
    const settings = ["net.ipv4.ip_forward=1", ...(kind === "bgp" ? proxy : [])];
    lines.push(`ip netns exec ${own}n${node} sysctl -qw ${settings.join(" ")}`);
    if (kind === "vxlan") {
      const far = 3 - node;
      const mac = `02:00:00:00:00:0${far}`;
      const to = `dst 192.168.9.${far}`;
      lines.push(`bridge -n ${own}n${node} fdb append ${mac} dev flannel.1 ${to}`);
    }
  }
  for (const each of fault) {
    const [, place, sign, words] = /^(\w+)([:!]) (.*)$/.exec(each) ?? [];
    lines.push(
      sign === "!" ? `ip netns exec ${own}${place} ${words}` : `ip -n ${own}${place} ${words}`,
    );
  }
  return `set -e\n${lines.join("\n")}\n`;
}

function nodeLines(kind: Kind, node: 1 | 2): readonly string[] {
  const far = 3 - node;
  const remote = `10.244.${far}.0/24`;
  const plain = `route add ${remote} via 192.168.9.${far}`;
  return [
    ...["link set lo up", "link set eth0 up", `address add 192.168.9.${node}/24 dev eth0`],
    // Proxy ARP answers only for what there is a route to, and so takes the default one.
    ...(kind === "bgp" ? ["route add default via 192.168.9.9"] : []),
    ...(kind === "bgp" ? [`route add blackhole 10.244.${node}.0/24`, plain] : [
      ...["link add cni0 type bridge forward_delay 0", "link set cni0 up"],
      `address add 10.244.${node}.1/24 dev cni0`,
    ]),
    ...(kind === "host-gw" ? [plain] : []),
    ...(kind === "vxlan"
      ? [
        "link add flannel.1 type vxlan id 1 dstport 8472 nolearning dev eth0 " +
        `local 192.168.9.${node}`,
        `link set flannel.1 address 02:00:00:00:00:0${node} up`,
        `address add 10.244.${node}.0/32 dev flannel.1`,
        `neigh add 10.244.${far}.0 lladdr 02:00:00:00:00:0${far} dev flannel.1 nud permanent`,
        `route add ${remote} via 10.244.${far}.0 dev flannel.1 onlink`,
      ]
      : []),
  ];
}

function podPort(kind: Kind, pod: Place, own: string): readonly string[] {
  return [
    `link add c${pod} type veth peer name eth0 netns ${own}${pod}`,
    kind === "bgp" ? `link set c${pod} up` : `link set c${pod} master cni0 up`,
    ...(kind === "bgp" ? [`route add ${ADDRESSES[pod]} dev c${pod}`] : []),
  ];
}

function podLines(kind: Kind, node: 1 | 2, address: string): readonly string[] {
  const [length, gateway] = kind === "bgp" ? [32, "169.254.1.1"] : [24, `10.244.${node}.1`];
  return [
    ...["link set lo up", "link set eth0 up", `address add ${address}/${length} dev eth0`],
    ...(kind === "bgp" ? [`route add ${gateway} dev eth0 scope link`] : []),
    `route add default via ${gateway} dev eth0`,
  ];
}

/** Who listens in a case's network. */
export function listeningIn({ silent = [] }: Case, own: string): readonly Listening[] {
  return PLACES.filter((place) => place !== "s" && !silent.includes(place)).flatMap((place) =>
    ([["tcp", 80], ["udp", 53]] as const).map(([protocol, port]): Listening => ({
      ...{ namespace: `${own}${place}`, protocol, port, v6only: true },
      ...{ family: 4, address: "0.0.0.0" },
    }))
  );
}

/** The packet that a case is about. */
export function askedIn({ asked }: Case, own: string, id: number): Asked {
  const [from = "", to = "", port, protocol = "tcp"] = asked.split(" ");
  if (protocol !== "tcp" && protocol !== "udp") throw new Error(`Cannot send "${protocol}"`);
  return {
    ...{ id, namespace: `${own}${from}`, protocol, family: 4, source: ADDRESSES[from] ?? from },
    ...{ sourcePort: 41_000 + id, destination: ADDRESSES[to] ?? to, port: Number(port) },
  };
}
