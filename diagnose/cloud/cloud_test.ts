import assert from "node:assert/strict";
import { madeNodes, podAddress } from "../../tests/made_cluster.ts";
import { ip, packetOf } from "../../tests/made_rules.ts";
import type { Packet } from "../packet/packet.ts";
import { findingsOf } from "../report/finding.ts";
import { headline } from "../report/headline.ts";
import { diagnoseIn } from "../walk/diagnosis.ts";
import { Network } from "../walk/network.ts";
import { Cloud } from "./cloud.ts";
import { readFacts } from "./facts.ts";

type Given = Readonly<Record<string, unknown>>;

/** Two nodes in a subnet, with what differs. */
function cloud({ one = {}, two = {}, ...more }: Readonly<Record<string, unknown>> & {
  readonly one?: Given;
  readonly two?: Given;
} = {}): Cloud {
  return new Cloud(readFacts({
    ...{ format: "podskoop-facts", version: 1 },
    interfaces: [
      { name: "eni-1", node: "node1", addresses: ["192.168.0.11/24"], ...one },
      { name: "eni-2", node: "node2", addresses: ["192.168.0.12"], ...two },
    ],
    ...more,
  }));
}

/** What becomes of a packet from the first node to the second. */
function carried(of: Cloud, port = 80, more: Partial<Packet> = {}, hop = "192.168.0.12"): string {
  const packet = packetOf("192.168.0.11", "192.168.0.12", port, more);
  const passage = of.carry("node1", packet, ip(hop));
  return passage.passes === "no" ? passage.id : passage.passes;
}

const grouped = (rules: Given) => ({
  ...{ one: { groups: ["a"] }, two: { groups: ["b"] } },
  groups: [{ name: "a", egress: [{}], ingress: [] }, { name: "b", egress: [], ...rules }],
});

Deno.test("what nothing is known of is unknown, and what is known to be free passes", () => {
  assert.equal(carried(cloud()), "yes");
  assert.equal(
    cloud().carry("node9", packetOf("1.1.1.1", "2.2.2.2", 80), ip("2.2.2.2")).passes,
    "unknown",
  );
  assert.equal(carried(cloud(grouped({}))), "yes");
});

Deno.test("a security group lets through what a rule allows, and nothing else", () => {
  const into = (...ingress: readonly Given[]) => cloud(grouped({ ingress }));
  assert.equal(carried(into()), "cloud-denies");
  for (
    const rule of [
      { protocol: "tcp", ports: 80 },
      { protocol: 6, ports: [22, "79-81"] },
      { peers: "192.168.0.0/24" },
      { peers: ["10.0.0.0/8", "group:a"] },
      { peers: "192.168.0.11" },
    ]
  ) assert.equal(carried(into(rule)), "yes", JSON.stringify(rule));
  for (
    const rule of [
      { protocol: "udp" },
      { ports: 81 },
      { ports: "81-90" },
      { peers: "10.0.0.0/8" },
      { peers: "group:b" },
    ]
  ) assert.equal(carried(into(rule)), "cloud-denies", JSON.stringify(rule));
});

Deno.test("groups know connections: the answer of what they let through passes", () => {
  const shut = cloud(grouped({ ingress: [] }));
  assert.equal(carried(shut, 80, { tcpFlags: 0x12 }), "yes");
  assert.equal(carried(shut, 80, { tcpFlags: 0x02 }), "cloud-denies");
  assert.equal(carried(shut, 80, { protocol: 1, icmp: { type: 0, code: 0 } }), "yes");
  assert.equal(carried(shut, 80, { protocol: 1, icmp: { type: 8, code: 0 } }), "cloud-denies");
});

Deno.test("priorities go from the lowest, and of one priority what denies goes first", () => {
  const into = (...ingress: readonly Given[]) => carried(cloud(grouped({ ingress })));
  const deny = { action: "deny", peers: "any" };
  assert.equal(into({ priority: 100 }, { ...deny, priority: 200 }), "yes");
  assert.equal(into({ priority: 300 }, { ...deny, priority: 200 }), "cloud-denies");
  assert.equal(into({}, deny), "cloud-denies");
});

Deno.test("the check of sources drops pods' packets, unless their range is told", () => {
  const from = (prefixes: readonly string[]) => {
    const checked = cloud({ one: { sourceCheck: true, prefixes } });
    const passage = checked.carry(
      "node1",
      packetOf("10.244.1.2", "10.244.2.2", 80),
      ip("192.168.0.12"),
    );
    return passage.passes === "no" ? passage.id : passage.passes;
  };
  assert.equal(from([]), "cloud-source-check");
  assert.equal(from(["10.244.1.0/24"]), "yes");
});

const ROUTED = {
  one: { subnet: "s1" },
  two: { subnet: "s2", prefixes: ["10.244.2.0/24"] },
};

Deno.test("routes are asked by the longest prefix, and none is a drop", () => {
  const by = (...routes: readonly Given[]) =>
    carried(
      cloud({ ...ROUTED, subnets: [{ name: "s1", routes }, { name: "s2" }] }),
      80,
      {},
      "192.168.0.1",
    );
  assert.equal(by({ to: "192.168.0.0/16", via: "local" }), "yes");
  assert.equal(by(), "cloud-route");
  assert.equal(by({ to: "0.0.0.0/0", via: "node2" }), "yes");
  assert.equal(by({ to: "0.0.0.0/0", via: "igw-1" }), "unknown");
  const hole = { to: "192.168.0.12/32", via: "blackhole" };
  assert.equal(by({ to: "0.0.0.0/0", via: "eni-2" }, hole), "cloud-route");
});

Deno.test("access lists hold between subnets, in their order, and for answers too", () => {
  const by = (ingress: readonly Given[], more: Partial<Packet> = {}, two = "s2") =>
    carried(
      cloud({
        ...{ one: { subnet: "s1" }, two: { subnet: two } },
        subnets: [{ name: "s1" }, { name: "s2", acl: { ingress } }],
      }),
      80,
      more,
    );
  const deny = { action: "deny", protocol: "tcp" };
  assert.equal(by([deny, {}]), "cloud-denies");
  assert.equal(by([{}, deny]), "yes");
  assert.equal(by([deny, {}], { tcpFlags: 0x12 }), "cloud-denies");
  assert.equal(by([deny, {}], {}, "s1"), "yes");
});

/** The diagnosis from the first node's pod to the second's. */
function walked(
  network: "flannel vxlan" | "flannel host-gw",
  of?: Cloud,
  nodes = madeNodes(network),
) {
  const ends = { source: ip(podAddress(1)), destination: ip(podAddress(2)) };
  return diagnoseIn(new Network(nodes, of), { ...ends, protocol: "tcp", port: 8080 });
}

Deno.test("the walk asks for the outer packet of a tunnel, in both directions", () => {
  const vxlan = { protocol: "udp", ports: 8472 };
  const both = (...ingress: readonly Given[]) =>
    cloud({
      ...{ one: { groups: ["n"] }, two: { groups: ["n"] } },
      groups: [{ name: "n", egress: [{}], ingress }],
    });
  assert.equal(walked("flannel vxlan", both(vxlan)).verdict, "reachable");
  const tcp = walked("flannel vxlan", both({ protocol: "tcp" }));
  assert.match(
    headline(tcp),
    /^blocked at node node1, eth0: the security groups n of "eni-2" \(ing/,
  );
  assert.equal(findingsOf(tcp)[0]?.id, "cloud-denies");
  assert.equal(
    walked("flannel host-gw", both({ protocol: "tcp", ports: 8080 })).verdict,
    "reachable",
  );
  assert.equal(walked("flannel host-gw", both(vxlan)).verdict, "blocked");
});

Deno.test("pods' addresses that the cloud checks, or does not know, are told", () => {
  const checked = cloud({ one: { sourceCheck: true }, two: { sourceCheck: true } });
  assert.equal(walked("flannel vxlan", checked).verdict, "reachable");
  const [first] = findingsOf(walked("flannel host-gw", checked));
  assert.deepEqual([first?.id, first?.where.namespace], ["cloud-source-check", "node node1"]);
});

Deno.test("the cloud's routes lead where no node is the next hop", () => {
  const nodes = madeNodes("flannel host-gw").map((node) => ({
    ...node,
    namespaces: node.namespaces.map((each) => ({
      ...each,
      routes:
        each.routes?.filter(({ dst, gateway }) =>
          !each.host || gateway === undefined || dst === "default"
        ) ?? [],
    })),
  }));
  assert.equal(walked("flannel host-gw", undefined, nodes).verdict, "unknown");
  const routed = (routes: readonly Given[]) =>
    walked(
      "flannel host-gw",
      cloud({
        one: { subnet: "s", prefixes: ["10.244.1.0/24"] },
        two: { subnet: "s", prefixes: ["10.244.2.0/24"] },
        subnets: [{ name: "s", routes }],
      }),
      nodes,
    );
  const pods = [1, 2].map((own) => ({ to: `10.244.${own}.0/24`, via: `node${own}` }));
  assert.equal(routed(pods).verdict, "reachable");
  const half = routed(pods.slice(1));
  assert.deepEqual([half.verdict, findingsOf(half)[0]?.id], ["blocked", "cloud-route"]);
  assert.equal(findingsOf(half)[0]?.direction, "answer");
});

Deno.test("without facts the walk says what it takes for granted", () => {
  const assumed = (of?: Cloud) => walked("flannel vxlan", of).ways[0]?.request.trail.assumptions;
  assert.deepEqual(assumed(), [
    "nothing between the nodes stops it, such as a cloud's security groups",
  ]);
  assert.deepEqual(assumed(cloud()), []);
});
