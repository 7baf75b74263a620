import assert from "node:assert/strict";
import { join } from "node:path";
import { programOf } from "../../main.ts";
import { FakeKubernetes, PODS } from "../../tests/fake_kubernetes.ts";
import { FakeTerminal } from "../../tests/fake_terminal.ts";
import { madePod } from "../../tests/made_kubernetes.ts";
import { forwarding, madeSnapshot } from "../../tests/made_network.ts";
import { runProgram } from "./program.ts";

const OBJECTS = [
  madePod({ name: "cart", addresses: ["10.0.0.2"], node: "n" }),
  madePod({ name: "web", addresses: ["10.0.1.2"], node: "n", labels: { app: "web" } }),
].map((pod) => ({ kind: "Pod", ...pod }));

const SERVICE = [
  {
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: "10.96.0.17", ports: [{ name: "http", port: 80 }] },
  },
  {
    kind: "EndpointSlice",
    metadata: {
      ...{ name: "web-x", namespace: "shop" },
      labels: { "kubernetes.io/service-name": "web" },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.1.2"], nodeName: "n" }],
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  },
];

const CLOSED = {
  kind: "NetworkPolicy",
  metadata: { name: "closed", namespace: "shop" },
  spec: { podSelector: { matchLabels: { app: "web" } } },
};

/** A folder with a snapshot of two pods on a node, one of which listens on port 8080. */
async function withSnapshot(
  work: (
    run: (objects: readonly unknown[], ...args: readonly string[]) => Promise<{
      readonly code: number;
      readonly out: string;
      readonly err: string;
    }>,
  ) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "podskoop-objects-" });
  const pod = (own: number, port: string) => ({
    more: {
      resolvConf: "nameserver 10.0.1.2\nsearch shop.svc.cluster.local svc.cluster.local\n",
    },
    devices: {
      eth0: { kind: "veth", to: ["node", port] as const, addresses: [`10.0.${own}.2/24`] },
    },
    routes: [{ gateway: `10.0.${own}.1`, dev: "eth0" }],
    listeners: own === 1 ? ["tcp * 8080", "udp * 53", "tcp * 53"] : [],
  });
  const port = (name: string, own: number) => ({
    ...{ kind: "veth", to: [name, "eth0"] as const, addresses: [`10.0.${own}.1/24`] },
  });
  const snapshot = madeSnapshot({
    node: { devices: { va: port("a", 0), vb: port("b", 1) }, sysctls: forwarding("va", "vb") },
    ...{ a: pod(0, "va"), b: pod(1, "vb") },
  });
  const owners: Readonly<Record<string, string>> = { a: "cart", b: "web" };
  const named = {
    ...snapshot,
    namespaces: snapshot.namespaces.map((each) => {
      const name = owners[each.owner.name];
      return name === undefined
        ? each
        : { ...each, owner: { kind: "pod", namespace: "shop", name } };
    }),
  };
  try {
    await Deno.writeTextFile(join(dir, "s.json"), JSON.stringify(named));
    await work(async (objects, ...args) => {
      await Deno.writeTextFile(
        join(dir, "o.json"),
        JSON.stringify({ kind: "List", items: objects }),
      );
      const terminal = new FakeTerminal();
      const all = ["diagnose", "--snapshot", join(dir, "s.json"), ...args];
      const given = objects.length === 0 ? all : [...all, "--objects", join(dir, "o.json")];
      const code = await runProgram(await programOf("podskoop", terminal), given, terminal);
      return { code, out: terminal.stdout, err: terminal.stderr };
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const PAIR = ["-s", "pod/shop/cart", "-d", "pod/shop/web", "-p", "8080"];

Deno.test("diagnose takes pods by their names, with objects and without", async () => {
  await withSnapshot(async (run) => {
    const alone = await run([], ...PAIR);
    assert.equal(alone.code, 0, alone.err);
    assert.match(alone.out, /^reachable: tcp arrives at 10\.0\.1\.2:8080 in pod shop\/web/);
    const { code, out } = await run(OBJECTS, ...PAIR);
    assert.equal(code, 0);
    assert.match(out, /^from +pod shop\/cart$/m);
    assert.match(out, /^to +pod shop\/web$/m);
    assert.match(out, /^policies +allowed: egress, no policy selects it for egress;/m);
    const none = await run([], "-s", "pod/shop/cart", "-d", "pod/shop/none", "-p", "1");
    assert.equal(none.code, 2);
    assert.match(none.err, /Cannot find "pod\/shop\/none": no snapshot has a pod of that name/);
  });
});

Deno.test("diagnose says what a policy forbids, and that packets pass all the same", async () => {
  await withSnapshot(async (run) => {
    const { code, out } = await run([...OBJECTS, CLOSED], ...PAIR);
    assert.equal(code, 0);
    assert.match(out.replace(/\s+/g, " "), /hint \(certain\) policy-denies: ingress of shop\/web/);
    assert.match(out.replace(/\s+/g, " "), /NetworkPolicy shop\/closed .*yet packets pass/);
    assert.ok(out.split("\n").every((line) => line.length <= 80), out);
    const json = await run([...OBJECTS, CLOSED], ...PAIR, "--format", "json");
    assert.doesNotMatch(json.out, /\bnull\b/);
    const { cluster, findings } = JSON.parse(json.out);
    assert.deepEqual(
      cluster.policies.map(({ to, verdict }: Record<string, string>) => [to, verdict]),
      [
        ["10.0.1.2:8080", "denied"],
      ],
    );
    assert.deepEqual([findings[0].id, findings[0].where.namespace], [
      "policy-denies",
      "pod shop/web",
    ]);
  });
});

Deno.test("diagnose finds a service that nothing on the way has programmed", async () => {
  await withSnapshot(async (run) => {
    const objects = [...OBJECTS, ...SERVICE];
    const { code, out } = await run(objects, "-s", "pod/shop/cart", "-d", "svc/shop/web:http");
    assert.equal(code, 2, out);
    assert.match(out, /^blocked at node /);
    assert.match(out, /^to +service shop\/web http 80\/TCP$/m);
    assert.match(out, /^backend +10\.0\.1\.2:8080 on node n$/m);
    assert.match(
      out.replace(/\s+/g, " "),
      /critical \(certain\) service-unprogrammed: service shop/,
    );
    const direct = await run(objects, ...PAIR);
    assert.equal(direct.code, 0);
    assert.doesNotMatch(direct.out, /service-/);
  });
});

Deno.test("diagnose says what of the objects it cannot read", async () => {
  await withSnapshot(async (run) => {
    const odd = { kind: "Service", metadata: { name: "odd", namespace: "shop" }, spec: 7 };
    const { code, err } = await run([...OBJECTS, odd], ...PAIR);
    assert.equal(code, 0);
    assert.match(
      err,
      /^podskoop: passed over ".*o\.json": Service shop\/odd: "spec": Invalid type/,
    );
    const none = await run([], ...PAIR, "--objects", "/nowhere/o.json");
    assert.equal(none.code, 1);
    assert.match(none.err, /Cannot read the objects "\/nowhere\/o\.json": /);
    const wrong = await run([], ...PAIR, "--kubeconfig", "/nowhere/config");
    assert.match(wrong.err, /Cannot read the kubeconfig "\/nowhere\/config"/);
  });
});

Deno.test("diagnose asks the API for its objects", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, madePod({ name: "cart", addresses: ["10.0.0.2"] }));
  fake.put(PODS, madePod({ name: "web", addresses: ["10.0.1.2"] }));
  fake.forbidden.add("/api/v1/nodes");
  await withSnapshot(async (run) => {
    const { code, out, err } = await run([], ...PAIR, "--kubeconfig", fake.kubeconfig());
    assert.equal(code, 0, err);
    assert.match(out, /^to +pod shop\/web$/m);
    assert.match(err, /passed over .*nodes: HTTP 403/);
  });
});

/** The service of pod `web`, without an address of its own. */
const HEADLESS = [
  {
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: "None", ports: [{ name: "http", port: 8080 }] },
  },
  ...SERVICE.slice(1),
];

Deno.test("diagnose looks a name up as the sender does, and says who was asked", async () => {
  await withSnapshot(async (run) => {
    const named = ["-s", "pod/shop/cart", "-d", "web:http"];
    const { code, out } = await run([...OBJECTS, ...HEADLESS], ...named);
    assert.equal(code, 0, out);
    assert.match(out, /^reachable: tcp arrives at 10\.0\.1\.2:8080 in pod shop\/web/);
    assert.match(out, /^name +web as web\.shop\.svc\.cluster\.local: 10\.0\.1\.2$/m);
    assert.match(out, /^nameserver 10\.0\.1\.2: UDP reachable, TCP reachable$/m);
    const json = await run([...OBJECTS, ...HEADLESS], ...named, "--format", "json");
    const { dns, question } = JSON.parse(json.out);
    assert.doesNotMatch(json.out, /\bnull\b/);
    assert.equal(question.name, "web");
    assert.deepEqual(dns.tried, [{ name: "web.shop.svc.cluster.local", answer: "addresses" }]);
    assert.deepEqual(
      dns.nameservers.map(({ udp }: Record<string, { verdict: string }>) => udp?.verdict),
      ["reachable"],
    );
  });
});

Deno.test("diagnose walks to the nameserver of a name that it does not know", async () => {
  await withSnapshot(async (run) => {
    const far = await run([], "-s", "pod/shop/cart", "-d", "db.example.org", "-p", "5432");
    assert.equal(far.code, 3, far.err);
    assert.match(far.out, /^unknown because the name "db\.example\.org" leads nowhere/);
    const none = await run(OBJECTS, "-s", "10.0.0.1", "-d", "db.example.org", "-p", "5432");
    assert.equal(none.code, 2);
    assert.match(none.err, /Cannot look "db\.example\.org" up: the snapshot does not have/);
    const odd = await run([], "-s", "pod/shop/cart", "-d", "db..example", "-p", "5432");
    assert.match(odd.err, /Cannot take "db\.\.example" as the destination/);
    const portless = await run([], "-s", "pod/shop/cart", "-d", "web.example");
    assert.equal(portless.code, 3, "a nameserver has a port of its own");
  });
});
