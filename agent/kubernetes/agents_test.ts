import assert from "node:assert/strict";
import { FakeKubernetes, PODS } from "../../tests/fake_kubernetes.ts";
import { madePod } from "../../tests/made_kubernetes.ts";
import { agentToken, askAgent, nodeAgents } from "./agents.ts";
import { findApiServer } from "./api_server.ts";
import { ApiClient } from "./client.ts";

const LABELS = { "app.kubernetes.io/name": "podskoop" };
const TOKENS = "/api/v1/namespaces/podskoop/serviceaccounts/podskoop-diagnosis/token";
const LIMITS = { milliseconds: 10_000, bytesMax: 100 };

function agentPod(node: string, more: Partial<Parameters<typeof madePod>[0]> = {}) {
  const name = `podskoop-${node}`;
  return madePod({ name, namespace: "podskoop", node, labels: LABELS, hostNetwork: true, ...more });
}

async function clientOf(fake: FakeKubernetes): Promise<ApiClient> {
  return new ApiClient(await findApiServer(fake.kubeconfig()) ?? assert.fail());
}

Deno.test("agents are found by their pods' label, the one that runs on each node", async () => {
  await using fake = new FakeKubernetes();
  fake.put(
    PODS,
    agentPod("a", { uid: "u1", name: "leaving", deletionTimestamp: "2026-11-20T08:20:00Z" }),
    agentPod("a"),
    agentPod("b", { annotations: { "prometheus.io/scheme": "https" } }),
    agentPod("c", { phase: "Pending" }),
    agentPod("", { name: "nowhere" }),
    madePod({ name: "web" }),
  );
  const own = agentPod("d");
  const ports = [{ name: "metrics", containerPort: 9199 }];
  const [container] = own.spec.containers;
  fake.put(PODS, { ...own, spec: { ...own.spec, containers: [{ ...container, ports }] } });
  using client = await clientOf(fake);
  const found = await nodeAgents(client);
  assert.deepEqual(
    found.map(({ node, name, phase, port, tls }) => [node, name, phase, port, tls]),
    [
      ["a", "podskoop-a", "Running", 9102, false],
      ["b", "podskoop-b", "Running", 9102, true],
      ["c", "podskoop-c", "Pending", 9102, false],
      ["d", "podskoop-d", "Running", 9199, false],
    ],
  );
});

Deno.test("an agent is asked through the API server, with a token made for agents", async () => {
  await using fake = new FakeKubernetes();
  fake.answers.set(TOKENS, async (request) => {
    assert.equal(request.method, "POST");
    const { kind, spec } = await request.json();
    assert.deepEqual([kind, spec.audiences, spec.expirationSeconds], [
      ...["TokenRequest", ["podskoop"], 600],
    ]);
    return Response.json({ status: { token: "for-agents" } }, { status: 201 });
  });
  const answer = (request: Request) =>
    new Response(
      `${new URL(request.url).pathname} ${request.headers.get("podskoop-authorization")}`,
    );
  const pods = "/api/v1/namespaces/podskoop/pods";
  fake.answers.set(`${pods}/https:agent:9102/proxy/s`, answer);
  fake.answers.set(`${pods}/agent:9102/proxy/s`, () => new Response("x".repeat(101)));
  using client = await clientOf(fake);
  const token = await agentToken(client, "podskoop");
  const agent = { namespace: "podskoop", name: "agent", node: "a", phase: "Running", port: 9102 };
  const bytes = await askAgent(client, { ...agent, tls: true }, "/s", token, LIMITS);
  const expected = `${pods}/https:agent:9102/proxy/s Bearer for-agents`;
  assert.equal(new TextDecoder().decode(bytes), expected);
  await assert.rejects(
    askAgent(client, { ...agent, tls: false }, "/s", token, LIMITS),
    /Cannot ask ".*" for .*agent:9102\/proxy\/s: The answer has more than 100 bytes/,
  );
});

Deno.test("a cluster that makes no token for agents is refused with what to do", async () => {
  await using fake = new FakeKubernetes();
  fake.forbidden.add(TOKENS);
  using client = await clientOf(fake);
  await assert.rejects(
    agentToken(client, "podskoop"),
    /^Error: Cannot have a token for the agents: .*HTTP 403.*apply deploy\/kubernetes\/diagnosis/,
  );
});
