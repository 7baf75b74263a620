import assert from "node:assert/strict";
import * as v from "valibot";
import { FakeAgent, fakeEvent } from "../../tests/fake_agent.ts";
import { BODY_BYTES_MAX } from "./body.ts";
import { configRoute } from "./config.ts";
import { eventsRoute } from "./events.ts";
import { healthRoute, readyRoute } from "./health.ts";
import { podsRoute } from "./pods.ts";
import { eventShape, eventsShape, podsShape, statusShape } from "./shapes.ts";
import { statusRoute } from "./status.ts";

const NOW = Date.parse("2026-06-01T12:00:00Z");

/** An answer's body, by the schema that says what it is. */
async function read<S extends v.GenericSchema>(schema: S, response: Response) {
  return v.parse(schema, await response.json());
}

Deno.test("GET /status has the shape that its schema says", async () => {
  const agent = new FakeAgent();
  const status = await read(statusShape, await statusRoute(agent).request("/"));
  assert.deepEqual(status, agent.status());
});

Deno.test("GET /status?format=flat has the predecessor's keys, true for units in use", async () => {
  const response = await statusRoute(new FakeAgent()).request("/?format=flat");
  // procsnmp is one of three units here; softnet has failed, so it is not in use.
  assert.deepEqual(Object.entries(await response.json()), [
    ["Procfd", false],
    ["flow", false],
    ["insp_conntrack", false],
    ["insp_ipvs", false],
    ["insp_kernellatency", false],
    ["insp_netiftxlat", false],
    ["insp_netsoftirq", false],
    ["insp_packetloss", true],
    ["insp_qdisc", false],
    ["insp_socketlatency", false],
    ["insp_virtcmdlatency", false],
    ["procio", false],
    ["procnetdev", true],
    ["procnetstat", false],
    ["procsnmp", true],
    ["procsock", false],
    ["procsoftnet", false],
    ["proctcpsummary", false],
  ]);
});

Deno.test("GET /readyz is 503 with the reason until ready, GET /healthz never is", async () => {
  const agent = new FakeAgent();
  agent.waiting = 'The probe "tcpreset" is being loaded';
  const early = await readyRoute(agent).request("/");
  assert.equal(early.status, 503);
  assert.deepEqual(await early.json(), { error: agent.waiting });
  agent.waiting = undefined;
  const ready = await readyRoute(agent).request("/");
  assert.equal(ready.status, 200);
  assert.equal(await ready.text(), "ready\n");
  assert.equal(await (await healthRoute().request("/")).text(), "ok\n");
});

Deno.test("GET /pods has the shape that its schema says", async () => {
  const agent = new FakeAgent();
  const { pods } = await read(podsShape, await podsRoute(agent).request("/"));
  assert.deepEqual(pods, agent.pods());
});

Deno.test("GET /events answers events and a cursor, by which the older page is found", async () => {
  const agent = new FakeAgent();
  for (let number = 1; number <= 7; number++) agent.publish(fakeEvent(number));
  const route = eventsRoute(agent);
  const newest = await read(eventsShape, await route.request("/?limit=3"));
  assert.deepEqual(newest.events.map(({ id }) => id), ["5", "6", "7"]);
  assert.equal(newest.cursor, "5");
  const older = await read(eventsShape, await route.request(`/?limit=10&cursor=${newest.cursor}`));
  assert.deepEqual(older.events.map(({ id }) => id), ["1", "2", "3", "4"]);
  assert.equal(older.cursor, undefined);
});

Deno.test("GET /events turns every parameter into the agent's filter", async () => {
  const agent = new FakeAgent();
  await eventsRoute(agent, () => NOW).request(
    "/?since=1h30m&until=2026-06-01T14:00:00%2B02:00&type=tcpreset_nosock,PACKETLOSS" +
      "&type=TCPRESET_ACTIVE&pod=shop/cart-7f9c&node=node-a&limit=10000&cursor=42&after=7",
  );
  assert.deepEqual(agent.asked["events"], {
    since: NOW - 5_400_000,
    until: NOW,
    type: ["TCPRESET_NOSOCK", "PACKETLOSS", "TCPRESET_ACTIVE"],
    namespace: "shop",
    pod: "cart-7f9c",
    node: "node-a",
    limit: 10_000,
    before: "42",
    after: "7",
  });
});

Deno.test("GET /events reads times in each of their forms", async () => {
  const agent = new FakeAgent();
  const cases: [string, number][] = [
    ["10m", NOW - 600_000],
    ["1d", NOW - 86_400_000],
    ["250ms", NOW - 250],
    ["999999d", 0],
    [String(NOW), NOW],
    ["2026-06-01T12:00:00Z", NOW],
    ["2026-06-01t12:00:00z", NOW],
    ["2026-06-01T14:00:00+02:00", NOW], // unescaped, so the server sees a space
    ["2026-06-01T12:00:00.123456789Z", NOW + 123],
  ];
  for (const [since, expected] of cases) {
    await eventsRoute(agent, () => NOW).request(`/?since=${since}`);
    assert.deepEqual(agent.asked["events"], { since: expected }, since);
  }
});

Deno.test("GET /events as NDJSON has one event a line, harmless to a terminal", async () => {
  const agent = new FakeAgent();
  const comm = 'a"\u001b]0;x\u0007\u009b31m\u202e\u007f';
  for (let number = 1; number <= 3; number++) {
    agent.publish(fakeEvent(number, { process: { pid: 1, comm } }));
  }
  const response = await eventsRoute(agent).request("/?limit=2", {
    headers: { accept: "application/x-ndjson" },
  });
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  assert.equal(response.headers.get("podskoop-cursor"), "2");
  const text = await response.text();
  assert.match(text, /^[\x20-\x7e\n]*$/);
  const events = text.trimEnd().split("\n").map((line) => v.parse(eventShape, JSON.parse(line)));
  assert.deepEqual(events.map(({ id, process }) => [id, process?.comm]), [["2", comm], [
    "3",
    comm,
  ]]);
});

Deno.test("GET /config answers YAML and where it came from", async () => {
  const response = await configRoute(new FakeAgent()).request("/");
  assert.equal(response.headers.get("content-type"), "text/yaml; charset=utf-8");
  assert.equal(response.headers.get("podskoop-config-origin"), "defaults");
  assert.equal(await response.text(), "listen: 0.0.0.0:9102\n");
});

Deno.test("PUT /config answers what changed; with 422 and every error, nothing did", async () => {
  const agent = new FakeAgent();
  const route = configRoute(agent);
  const good = await route.request("/", { method: "PUT", body: "units: {}\n" });
  assert.equal(good.status, 200);
  assert.deepEqual(await good.json(), { changed: ["packetloss"], warnings: [] });
  const bad = await route.request("/", { method: "PUT", body: "wrong: 1\n" });
  assert.equal(bad.status, 422);
  const error = 'Cannot use "wrong": there is no such key';
  assert.deepEqual(await bad.json(), { error, errors: [error] });
  assert.equal(agent.configText, "units: {}\n");
});

Deno.test("PUT /config refuses a body that is empty, too large, no UTF-8 or too late", async () => {
  const agent = new FakeAgent();
  const before = agent.configText;
  const route = configRoute(agent, 20);
  const largest = "#".repeat(BODY_BYTES_MAX);
  const cases: [BodyInit | null, number][] = [
    [null, 400],
    [" \n", 400],
    [new Uint8Array([0x61, 0xff, 0xfe]), 400],
    [largest + "#", 413],
    [new Blob([largest, "#"]).stream(), 413],
    [
      new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array([0x61])) }),
      408,
    ],
  ];
  for (const [body, status] of cases) {
    const response = await route.request("/", { method: "PUT", body });
    assert.equal(response.status, status);
    assert.match((await response.json()).error, /^Cannot /);
  }
  assert.equal(agent.configText, before);
  assert.equal((await route.request("/", { method: "PUT", body: largest })).status, 200);
});
