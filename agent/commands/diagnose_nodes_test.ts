import assert from "node:assert/strict";
import { programOf } from "../../main.ts";
import { FakeKubernetes, NODES, PODS } from "../../tests/fake_kubernetes.ts";
import { FakeTerminal } from "../../tests/fake_terminal.ts";
import { madeNode, madePod } from "../../tests/made_kubernetes.ts";
import { forwarding, madeSnapshot } from "../../tests/made_network.ts";
import { collected } from "./diagnose_nodes.ts";
import { runProgram } from "./program.ts";

const TOKENS = "/api/v1/namespaces/podskoop/serviceaccounts/podskoop-diagnosis/token";

/** A node with one pod, 10.0.OWN.2, and a route to the other node's pods, over it or a third. */
function nodeSnapshot(own: number, other: number, over = other) {
  return madeSnapshot({
    node: {
      devices: {
        eth0: { addresses: [`192.0.2.${own}/24`] },
        va: { kind: "veth", to: ["pod", "eth0"], addresses: [`10.0.${own}.1/24`] },
      },
      routes: [{ dst: `10.0.${other}.0/24`, gateway: `192.0.2.${over}`, dev: "eth0" }],
      sysctls: forwarding("va", "eth0"),
    },
    pod: {
      devices: { eth0: { kind: "veth", to: ["node", "va"], addresses: [`10.0.${own}.2/24`] } },
      routes: [{ gateway: `10.0.${own}.1`, dev: "eth0" }],
      listeners: ["tcp * 80"],
      more: { owner: { kind: "pod", namespace: "shop", name: own === 1 ? "cart" : "web" } },
    },
  }, `node-${own}`);
}

/** A cluster whose agents are on two nodes. */
function withAgents(fake: FakeKubernetes, answers: readonly [Response, Response]): void {
  fake.answers.set(TOKENS, () => Response.json({ status: { token: "for-agents" } }));
  answers.forEach((answer, index) => {
    const node = `node-${index + 1}`;
    const labels = { "app.kubernetes.io/name": "podskoop" };
    const name = `agent-${index + 1}`;
    fake.put(PODS, madePod({ name, namespace: "podskoop", node, labels, hostNetwork: true }));
    fake.answers.set(`/api/v1/namespaces/podskoop/pods/${name}:9102/proxy/snapshot`, (request) => {
      assert.equal(request.headers.get("podskoop-authorization"), "Bearer for-agents");
      return answer;
    });
  });
  fake.put(PODS, madePod({ name: "cart", addresses: ["10.0.1.2"], node: "node-1" }));
  fake.put(PODS, madePod({ name: "web", addresses: ["10.0.2.2"], node: "node-2" }));
}

async function run(...args: readonly string[]) {
  const terminal = new FakeTerminal();
  const code = await runProgram(
    await programOf("podskoop", terminal),
    ["diagnose", ...args],
    terminal,
  );
  return { code, out: terminal.stdout.replace(/\s+/g, " "), err: terminal.stderr };
}

const PAIR = ["-s", "pod/shop/cart", "-d", "pod/shop/web", "-p", "80"];

Deno.test("diagnose collects the snapshots of a cluster's agents", async () => {
  await using fake = new FakeKubernetes();
  withAgents(fake, [Response.json(nodeSnapshot(1, 2)), Response.json(nodeSnapshot(2, 1))]);
  const { code, out, err } = await run(...PAIR, "--kubeconfig", fake.kubeconfig());
  assert.match(out, /^reachable: tcp arrives at 10\.0\.2\.2:80/, err);
  assert.equal(code, 0);
  assert.equal(err, "");
});

Deno.test("diagnose does not know what an agent did not tell, and says why", async () => {
  await using fake = new FakeKubernetes();
  const refusal = Response.json({ error: "no" }, { status: 503 });
  withAgents(fake, [Response.json(nodeSnapshot(1, 2)), refusal]);
  const { code, out, err } = await run(...PAIR, "--kubeconfig", fake.kubeconfig());
  assert.equal(code, 3);
  assert.match(out, /^unknown because .*no snapshot of "node-2": Cannot ask .*HTTP 503/);
  assert.match(err, /^podskoop: no snapshot of "node-2": Cannot ask .*HTTP 503/);
  // Asked from the node that is missing, there is not even a sender.
  const back = ["-s", "10.0.2.2", "-d", "10.0.1.2", "-p", "80"];
  fake.answers.set(
    "/api/v1/namespaces/podskoop/pods/agent-1:9102/proxy/snapshot",
    () => Response.json(nodeSnapshot(1, 2)),
  );
  fake.answers.set(
    "/api/v1/namespaces/podskoop/pods/agent-2:9102/proxy/snapshot",
    () => new Response("{}"),
  );
  const other = await run(...back, "--kubeconfig", fake.kubeconfig());
  assert.equal(other.code, 3);
  assert.match(other.out, /^unknown because no namespace .*no snapshot of "node-2": Cannot read/);
});

Deno.test("diagnose names the nodes of a cluster that have no agent, some of them", async () => {
  await using fake = new FakeKubernetes();
  withAgents(fake, [Response.json(nodeSnapshot(1, 2)), Response.json(nodeSnapshot(2, 1))]);
  for (const index of Array.from({ length: 13 }, (_, each) => each + 1)) {
    fake.put(NODES, madeNode(`node-${index}`, `192.0.2.${index}`));
  }
  // Of a destination that is nobody's all nodes are asked.
  const outside = ["-s", "pod/shop/cart", "-d", "203.0.113.9", "-p", "80"];
  const { code, err } = await run(...outside, "--kubeconfig", fake.kubeconfig());
  assert.equal(code, 2);
  const lines = err.trimEnd().split("\n");
  assert.equal(lines.length, 11);
  assert.equal(lines[0], 'podskoop: no snapshot of "node-3": the cluster has no agent there');
  assert.equal(lines.at(-1), "podskoop: no snapshot of 1 more nodes");
});

Deno.test("diagnose asks the agents of both ends' nodes, and others if need be", async () => {
  await using fake = new FakeKubernetes();
  const asked: number[] = [];
  const third = () => {
    const one = nodeSnapshot(3, 2);
    asked.push(3);
    return Response.json(one);
  };
  const labels = { "app.kubernetes.io/name": "podskoop" };
  const agent = { namespace: "podskoop", node: "node-3", labels, hostNetwork: true };
  fake.put(PODS, madePod({ name: "agent-3", ...agent }));
  fake.answers.set("/api/v1/namespaces/podskoop/pods/agent-3:9102/proxy/snapshot", third);
  const answers = (over: number): readonly [Response, Response] => [
    Response.json(nodeSnapshot(1, 2, over)),
    Response.json(nodeSnapshot(2, 1)),
  ];
  withAgents(fake, answers(2));
  const near = await run(...PAIR, "--kubeconfig", fake.kubeconfig());
  assert.deepEqual([near.code, near.err, asked], [0, "", []], near.out);
  // By a node between them.
  withAgents(fake, answers(3));
  const far = await run(...PAIR, "--kubeconfig", fake.kubeconfig());
  assert.deepEqual([far.code, far.err, asked], [0, "", [3]], far.out);
});

Deno.test("diagnose says what a cluster's agents lack", async () => {
  await using fake = new FakeKubernetes();
  withAgents(fake, [Response.json({}), Response.json({})]);
  fake.forbidden.add(TOKENS);
  const refused = await run(...PAIR, "--kubeconfig", fake.kubeconfig());
  assert.equal(refused.code, 1);
  assert.match(refused.err, /Cannot have a token for the agents: .*apply deploy\/kubernetes\/diag/);
  const verified = await run(...PAIR, "--kubeconfig", fake.kubeconfig(), "--verify");
  assert.equal(verified.code, 2);
  assert.match(verified.err, /Cannot verify on other nodes' snapshots/);
});

Deno.test("diagnose gives no token to other namespaces' pods with the agents' label", async () => {
  await using fake = new FakeKubernetes();
  withAgents(fake, [Response.json(nodeSnapshot(1, 2)), Response.json(nodeSnapshot(2, 1))]);
  const labels = { "app.kubernetes.io/name": "podskoop" };
  const asked: string[] = [];
  for (const node of ["node-1", "node-3"]) {
    fake.put(PODS, madePod({ name: `fake-${node}`, namespace: "guest", node, labels }));
    fake.answers.set(`/api/v1/namespaces/guest/pods/fake-${node}:9102/proxy/snapshot`, () => {
      asked.push(node);
      return Response.json(nodeSnapshot(1, 2));
    });
  }
  const api = ["--kubeconfig", fake.kubeconfig()];
  const doubtful = await run(...PAIR, ...api);
  assert.equal(doubtful.code, 1);
  assert.match(
    doubtful.err,
    /in 2 namespaces, such as "guest", "podskoop": name the agents' by --a/,
  );
  const named = await run(...PAIR, ...api, "--agent-namespace", "podskoop");
  assert.equal(named.code, 0, named.err);
  assert.deepEqual(asked, []);
  const none = await run(...PAIR, ...api, "--agent-namespace", "podscoop");
  assert.deepEqual([none.code, none.err], [
    1,
    'podskoop: Cannot find any agent in the namespace "podscoop"\n',
  ]);
});

Deno.test("diagnose says that it is in no cluster, where it is asked to be in one", async () => {
  const host = Deno.env.get("KUBERNETES_SERVICE_HOST");
  Deno.env.delete("KUBERNETES_SERVICE_HOST");
  const { code, err } = await run(...PAIR, "--in-cluster");
  if (host !== undefined) Deno.env.set("KUBERNETES_SERVICE_HOST", host);
  assert.equal(code, 1);
  assert.match(err, /Cannot ask the cluster that this process is a pod of: it is none, or has no/);
});

Deno.test("diagnose asks several agents that are named", async () => {
  const servers = [nodeSnapshot(1, 2), nodeSnapshot(2, 1)].map((snapshot) =>
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => Response.json(snapshot))
  );
  try {
    const agents = servers.flatMap(({ addr }) => ["--agent", `http://127.0.0.1:${addr.port}`]);
    const pair = ["-s", "10.0.1.2", "-d", "10.0.2.2", "-p", "80"];
    const { code, out, err } = await run(...pair, ...agents);
    assert.match(out, /^reachable: /, err);
    assert.equal(code, 0);
    const silent = await run(...pair, ...agents.slice(0, 2), "--agent", "http://127.0.0.1:1");
    assert.equal(silent.code, 3);
    assert.match(silent.out, /no snapshot of "http:\/\/127\.0\.0\.1:1": Cannot reach/);
  } finally {
    await Promise.all(servers.map((server) => server.shutdown()));
  }
});

Deno.test("nodes are asked some at a time, and no more than the limit", async () => {
  const bytes = new TextEncoder().encode(JSON.stringify(nodeSnapshot(1, 2)));
  let now = 0;
  let most = 0;
  const sources = Array.from({ length: 37 }, (_, index) => ({
    node: `n${index}`,
    bytes: async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 1));
      now--;
      return bytes;
    },
  }));
  const { snapshots, missing } = await collected(sources, 31);
  assert.equal(snapshots.length, 31);
  assert.equal(most, 16);
  assert.deepEqual(missing.map(({ node }) => node), ["n31", "n32", "n33", "n34", "n35", "n36"]);
  assert.equal(missing[0]?.because, "at most 31 nodes are asked");
});
