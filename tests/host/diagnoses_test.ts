/**
 * `/diagnoses` of a running agent, on two real namespaces.
 *
 * Needs root.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DiagnosisDocument } from "../../diagnose/report/json.ts";
import { AgentUnderTest, eventually, Lab } from "./lab.ts";

const PORT = 8097;
/** Prometheus gives a scrape up after so long. */
const SCRAPE_MS_MAX = 10_000;

function post(agent: AgentUnderTest, path: string, body: unknown, headers = {}) {
  return agent.ask(path, { method: "POST", body: JSON.stringify(body), headers });
}

Deno.test("POST /diagnoses walks this node, and /metrics answers meanwhile", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const question = (destination: string) => ({
    ...{ source: lab.left.v4, destination, port: PORT, netns: lab.left.name },
  });
  const asking = post(agent, "/diagnoses", question(lab.right.v4));
  let scrapes = 0;
  let slowest = 0;
  let isDone = false;
  const done = asking.finally(() => isDone = true);
  while (!isDone) {
    const began = performance.now();
    await agent.metrics();
    slowest = Math.max(slowest, performance.now() - began);
    scrapes++;
  }
  const response = await done;
  assert.equal(response.status, 200, agent.log);
  const said: DiagnosisDocument = await response.json();
  assert.deepEqual([said.verdict, said.findings[0]?.id], ["blocked", "no-listener"]);
  assert.equal(said.findings[0]?.where.namespace, `netns ${lab.right.name}`);
  assert.equal(said.findings[0]?.where.node, "lab-node");
  assert.ok(scrapes > 0 && slowest < SCRAPE_MS_MAX, `${scrapes} scrapes, up to ${slowest} ms`);
  const page = await agent.ask("/diagnoses/1?format=html");
  assert.match(await page.text(), /^<!DOCTYPE html>[^]*nothing listens on tcp port 8097/);
  const wrong = await post(agent, "/diagnoses", question("pod/shop/none"));
  assert.equal(wrong.status, 422);
  assert.match((await wrong.json()).error, /^Cannot find "pod\/shop\/none"/);
});

Deno.test("POST /diagnose begins one as the predecessor's does, only over the socket", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const destination = { address: lab.right.v6, port: PORT };
  const sent = { source: lab.left.v6, destination, protocol: "udp", netns: lab.left.name };
  const refused = await fetch(`${agent.url}/diagnose`, { method: "POST", body: "{}" });
  await refused.body?.cancel();
  assert.equal(refused.status, 403);
  assert.deepEqual(await (await post(agent, "/diagnose", sent)).json(), { task_id: "1" });
  interface Task {
    readonly task_id: number;
    readonly status: string;
    readonly result: string;
  }
  const [task] = await eventually(
    () => agent.json<readonly Task[]>("/diagnoses"),
    ([first]) => first?.status !== "running",
    60_000,
  );
  assert.deepEqual([task?.task_id, task?.status], [1, "success"], JSON.stringify(task));
  const old: { readonly nodes: readonly { readonly id: string }[] } = JSON.parse(
    task?.result ?? "",
  );
  assert.deepEqual(old.nodes.map(({ id }) => id), [
    `netns ${lab.left.name}`,
    `netns ${lab.right.name}`,
  ]);
});
