import assert from "node:assert/strict";
import { formatAddress } from "../packet/address.ts";
import { Cluster } from "./cluster.ts";
import { answerOf, isDnsName, lookUp } from "./dns.ts";
import { readObjects } from "./objects.ts";
import { resolverOf } from "./resolver.ts";

const DOMAIN = "k8s.example";

function service(name: string, spec: Record<string, unknown>) {
  return { kind: "Service", metadata: { name, namespace: "shop" }, spec };
}

const OBJECTS = [
  service("web", { clusterIP: "10.96.0.17", clusterIPs: ["10.96.0.17", "fd00:96::17"] }),
  service("db", { clusterIP: "None" }),
  service("young", { clusterIP: "None", publishNotReadyAddresses: true }),
  service("far", { type: "ExternalName", externalName: "db.example.org." }),
  service("near", { type: "ExternalName", externalName: `web.shop.svc.${DOMAIN}` }),
  service("loop", { type: "ExternalName", externalName: `loop.shop.svc.${DOMAIN}` }),
  ...["db", "young"].map((name) => ({
    kind: "EndpointSlice",
    metadata: {
      ...{ name: `${name}-x`, namespace: "shop" },
      labels: { "kubernetes.io/service-name": name },
    },
    addressType: "IPv4",
    endpoints: [
      { addresses: ["10.0.0.7"], hostname: "db-0" },
      { addresses: ["10.0.0.8"], hostname: "db-1", conditions: { ready: false } },
      { addresses: ["10.0.0.9"] },
    ],
  })),
];
const CLUSTER = new Cluster(readObjects(JSON.stringify(OBJECTS)).objects);

/** What the cluster's DNS has for a name below its domain. */
function answer(name: string): string {
  const found = answerOf(CLUSTER, `${name}.${DOMAIN}`, DOMAIN);
  if (found.kind === "addresses") return found.addresses.map(formatAddress).join();
  return found.kind === "none" ? found.because : found.kind === "alias" ? found.name : found.kind;
}

Deno.test("the cluster's DNS has services, endpoints by host name, aliases and pods", () => {
  for (
    const [name, expected] of [
      ["web.shop.svc", "10.96.0.17,fd00:96::17"],
      ["WEB.Shop.svc", "10.96.0.17,fd00:96::17"],
      ["db.shop.svc", "10.0.0.7,10.0.0.9"],
      ["young.shop.svc", "10.0.0.7,10.0.0.8,10.0.0.9"],
      ["db-0.db.shop.svc", "10.0.0.7"],
      ["10-0-0-9.db.shop.svc", "10.0.0.9"],
      ["far.shop.svc", "db.example.org"],
      ["10-0-0-7.shop.pod", "10.0.0.7"],
      ["fd00--7.shop.pod", "fd00::7"],
      ["db-1.db.shop.svc", 'service shop/db has no ready endpoint "db-1"'],
      ["none.shop.svc", "there is no service shop/none"],
      ["shop.svc", "no service and no pod is called so"],
      ["a.b.web.shop.svc", "no service and no pod is called so"],
      ["x.shop.pod", "no service and no pod is called so"],
      ["web.shop.other", "no service and no pod is called so"],
    ] as const
  ) assert.equal(answer(name), expected, name);
  assert.equal(answerOf(CLUSTER, "web.shop.svc.other.example", DOMAIN).kind, "outside");
  assert.equal(answerOf(undefined, `web.shop.svc.${DOMAIN}`, DOMAIN).kind, "outside");
});

const RESOLVER = resolverOf(
  `nameserver 10.96.0.10\nsearch shop.svc.${DOMAIN} svc.${DOMAIN} ${DOMAIN}\noptions ndots:5\n`,
);

function looked(name: string, cluster: Cluster | "none" = CLUSTER, hosts = "") {
  const known = cluster === "none" ? undefined : cluster;
  const looking = { resolver: RESOLVER, hosts, cluster: known };
  const { tried, by, addresses, none } = lookUp(name, looking);
  return [
    by,
    addresses.map(formatAddress).join(),
    tried.map(({ answer: kind }) => kind).join(),
    none,
  ];
}

Deno.test("a name is looked up in hosts, then as each candidate until one is answered", () => {
  assert.deepEqual(looked("web"), ["cluster", "10.96.0.17,fd00:96::17", "addresses", false]);
  assert.deepEqual(looked("web.shop"), [
    ...["cluster", "10.96.0.17,fd00:96::17", "none,addresses", false],
  ]);
  assert.deepEqual(looked("web", CLUSTER, "10.0.0.66 web\n"), ["hosts", "10.0.0.66", "", false]);
  assert.deepEqual(looked("near"), ["cluster", "10.96.0.17,fd00:96::17", "addresses", false]);
  assert.deepEqual(looked("far"), ["nobody", "", "alias", false]);
  assert.deepEqual(looked("loop")[0], "nobody");
});

Deno.test("that there is no such name is certain only where the cluster alone is asked", () => {
  assert.deepEqual(looked("webb"), ["nobody", "", "none,none,none,outside", false]);
  assert.deepEqual(looked(`webb.shop.svc.${DOMAIN}.`), ["nobody", "", "none", true]);
  assert.deepEqual(looked(`webb.shop.svc.${DOMAIN}.`, "none"), ["nobody", "", "outside", false]);
});

Deno.test("that there is no such name is not certain where services could not be read", () => {
  const name = `webb.shop.svc.${DOMAIN}.`;
  assert.deepEqual(looked(name, new Cluster([])), ["nobody", "", "outside", false]);
});

Deno.test("a service is told by its name, so that its ports can be asked for", () => {
  const found = (name: string) =>
    lookUp(name, { resolver: RESOLVER, hosts: "", cluster: CLUSTER }).service;
  assert.deepEqual(["web", "near", "db-0.db"].map(found), ["shop/web", "shop/web", "shop/db"]);
});

Deno.test("a name that DNS may have is told from addresses and nonsense", () => {
  for (const text of ["web", "a.b", "a.b.", "x_y.z", "web:http", "web.shop:80", "xn--a.example"]) {
    assert.equal(isDnsName(text), true, text);
  }
  for (
    const text of [
      "",
      ".",
      "10.0.0",
      "a..b",
      "-a",
      "a-",
      "a b",
      "a:b:c",
      "web:",
      "a/b",
      "x".repeat(64),
    ]
  ) assert.equal(isDnsName(text), false, text);
});
