/**
 * Everything that a diagnosis reads of a cluster and of names, damaged at random: an answer or an
 * error that says what is wrong, nothing else, and soon. `FUZZ_SEED=N` repeats a failure.
 */
import assert from "node:assert/strict";
import { readFacts } from "../diagnose/cloud/facts.ts";
import { lookUp } from "../diagnose/kube/dns.ts";
import { Cluster } from "../diagnose/kube/cluster.ts";
import { readObjects } from "../diagnose/kube/objects.ts";
import { programmedOn } from "../diagnose/kube/programmed.ts";
import { inHosts, resolverOf } from "../diagnose/kube/resolver.ts";
import { findingsOf } from "../diagnose/report/finding.ts";
import { diagnosisText } from "../diagnose/report/text.ts";
import { damaged, type Random, randomOf } from "./damage.ts";
import { diagnosedIn, madeObjects, serviceAddress } from "./made_cluster.ts";
import { ip } from "./made_rules.ts";
import { iptablesServices, nftServices } from "./made_services.ts";

const INPUTS = 200;
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 20_261_121);
/** For one text; nothing takes a hundredth of it. */
const MILLISECONDS_MAX = 5_000;

const RESOLV =
  "nameserver 10.96.0.10\nnameserver fe80::1%eth0\nsearch shop.svc.cluster.local a.b\n" +
  "options ndots:5 timeout:1 rotate\nsortlist 10.0.0.0/8\n";
const HOSTS = "127.0.0.1\tlocalhost\nfd00::7 web web.shop # c\n10.0.0.1 web-0\n";

const SERVICE = [
  {
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: {
      ...{ clusterIP: serviceAddress, sessionAffinity: "ClientIP", type: "LoadBalancer" },
      ...{ loadBalancerSourceRanges: ["10.0.0.0/8"], healthCheckNodePort: 31_000 },
      ports: [{ name: "http", port: 80, nodePort: 30_080 }],
    },
    status: { loadBalancer: { ingress: [{ ip: "203.0.113.7" }] } },
  },
  {
    kind: "EndpointSlice",
    metadata: {
      ...{ name: "web-x", namespace: "shop" },
      labels: { "kubernetes.io/service-name": "web" },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.244.2.2"], hints: { forZones: [{ name: "z" }] } }],
    ports: [{ name: "http", port: 8080 }],
  },
  {
    kind: "NetworkPolicy",
    metadata: { name: "p", namespace: "shop" },
    spec: { podSelector: { matchExpressions: [{ key: "app", operator: "In", values: ["web"] }] } },
  },
];

const FACTS = {
  ...{ format: "podskoop-facts", version: 1 },
  interfaces: [{ name: "eni-1", node: "node1", addresses: ["192.168.0.11"], groups: ["g"] }],
  groups: [{ name: "g", ingress: [{ ports: [80, "90-99"], peers: ["group:g", "10.0.0.0/8"] }] }],
};

/** Reads a text that somebody may have damaged; false if it is refused with a reason. */
function answered(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof Error && /^Cannot (read|make) the /.test(error.message)) return false;
    throw error;
  }
}

const WANTED = { service: "shop/web-3", address: ip("10.96.0.3"), port: 80, protocol: "TCP" };
const NONE = { node: "a", iptables: [], nft: "", ipvs: "" };
const SERVICES = { services: 5, endpoints: 2 };

/** Each text with what reads it. */
const CASES: Readonly<Record<string, readonly [string, (text: string) => unknown]>> = {
  "objects, and what they say of a connection": [
    JSON.stringify([...madeObjects("flannel vxlan"), ...madeObjects("calico bgp"), ...SERVICE]),
    (text) => {
      const { objects } = readObjects(text);
      assert.ok(Array.isArray(objects));
      for (const to of [serviceAddress, "192.168.0.12", "10.244.2.2"]) {
        const own = JSON.parse(text);
        const diagnosis = diagnosedIn("flannel vxlan", { to, objects: [own], lenient: true });
        assert.ok(findingsOf(diagnosis).length >= 0 && diagnosisText(diagnosis).length > 0);
      }
    },
  ],
  "resolv.conf": [
    RESOLV,
    (text) => {
      const cluster = new Cluster([]);
      return lookUp("web.shop", { resolver: resolverOf(text), hosts: text, cluster });
    },
  ],
  hosts: [HOSTS, (text) => inHosts(text, "web")],
  "facts of a cloud": [JSON.stringify(FACTS), (text) => readFacts(parsed(text))],
  "iptables of kube-proxy": [
    iptablesServices(SERVICES),
    (text) => programmedOn({ ...NONE, iptables: [text] }, WANTED),
  ],
  "nftables of kube-proxy": [
    nftServices(SERVICES),
    (text) => programmedOn({ ...NONE, nft: text }, WANTED),
  ],
};

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

const ODD = ["null", "7", "-1", "1e300", '""', '"<b>\\u001b[31m"', "[]", "{}", "[null]", "true"];

/** JSON with some of its values replaced: its text is whole, and what it says is not. */
function twisted(text: string, random: Random): string {
  const values = text.split(":").length;
  const chosen = new Set(Array.from({ length: 1 + random(3) }, () => random(values)));
  let at = 0;
  return JSON.stringify(
    parsed(text),
    (_, value: unknown) => chosen.has(at++) ? parsed(ODD[random(ODD.length)] ?? "") : value,
  );
}

for (const [name, [text, read]] of Object.entries(CASES)) {
  Deno.test(`${name}: damaged texts are answered or refused, and soon`, () => {
    assert.ok(answered(() => read(text)), "undamaged");
    for (let input = 0; input < INPUTS; input++) {
      const seed = SEED + input;
      const random = randomOf(seed);
      // Of JSON, most damaged texts are none any more.
      const isJson = text.startsWith("{") || text.startsWith("[");
      const broken = isJson && input % 5 > 0 ? twisted(text, random) : damaged(text, random);
      const began = performance.now();
      try {
        answered(() => read(broken));
      } catch (error) {
        throw new Error(`FUZZ_SEED=${seed}: ${JSON.stringify(broken.slice(0, 300))}`, {
          cause: error,
        });
      }
      const took = performance.now() - began;
      assert.ok(took < MILLISECONDS_MAX, `FUZZ_SEED=${seed} took ${Math.round(took)} ms`);
    }
  });
}
