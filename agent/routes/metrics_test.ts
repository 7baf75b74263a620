import assert from "node:assert/strict";
import { FakeAgent } from "../../tests/fake_agent.ts";
import { allowsGzip, metricsRoute, prefersOpenMetrics } from "./metrics.ts";

Deno.test("GET /metrics answers in text 0.0.4 to a client that asks for nothing", async () => {
  const agent = new FakeAgent();
  const response = await metricsRoute(agent).request("/");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(response.headers.get("content-length"), "14");
  assert.equal(await response.text(), "podskoop_up 1\n");
  assert.deepEqual(agent.asked["exposition"], { names: undefined, openMetrics: false });
});

Deno.test("GET /metrics takes names repeated and separated by commas, each once", async () => {
  const agent = new FakeAgent();
  await metricsRoute(agent).request("/?names=inspector,kubeskoop&names=podskoop&names=inspector");
  assert.deepEqual(agent.asked["exposition"], {
    names: ["inspector", "kubeskoop", "podskoop"],
    openMetrics: false,
  });
});

Deno.test("GET /metrics answers in OpenMetrics to Prometheus 2.42, which prefers it", async () => {
  const response = await metricsRoute(new FakeAgent()).request("/", {
    headers: {
      accept: "application/openmetrics-text;version=1.0.0,application/openmetrics-text;" +
        "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    },
  });
  assert.equal(
    response.headers.get("content-type"),
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  await response.body?.cancel();
});

Deno.test("Accept is read with its weights and versions", () => {
  const cases: [string, boolean][] = [
    ["", false],
    ["*/*", false],
    ["text/plain", false],
    ["application/openmetrics-text", true],
    ["application/openmetrics-text; version=0.0.1", false],
    ["application/openmetrics-text; version=1.0.0; q=0", false],
    ["application/openmetrics-text;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.5", false],
    [
      'application/openmetrics-text;version="1.0.0";escaping=allow-utf-8;q=0.6,text/plain;q=0.3',
      true,
    ],
    ["application/openmetrics-text;q=x", false],
    [",;=,;;", false],
  ];
  for (const [accept, expected] of cases) {
    assert.equal(prefersOpenMetrics(accept), expected, accept);
  }
});

Deno.test("Accept-Encoding is read with its weights", () => {
  const cases: [string, boolean][] = [
    ["", false],
    ["gzip", true],
    ["deflate, GZIP;q=0.5", true],
    ["gzip;q=0, *", false],
    ["*", true],
    ["*;q=0", false],
    ["br, identity", false],
  ];
  for (const [field, expected] of cases) assert.equal(allowsGzip(field), expected, field);
});

Deno.test("GET /metrics gzips when asked to, and the text comes out again", async () => {
  const agent = new FakeAgent();
  agent.text = "podskoop_netdev_receive_bytes_total 1\n".repeat(1_009);
  const response = await metricsRoute(agent).request("/", {
    headers: { "accept-encoding": "gzip" },
  });
  assert.equal(response.headers.get("content-encoding"), "gzip");
  const bytes = await response.blob();
  assert.equal(response.headers.get("content-length"), String(bytes.size));
  assert.ok(bytes.size < agent.text.length / 10);
  const stream = bytes.stream().pipeThrough(new DecompressionStream("gzip"));
  assert.equal(await new Response(stream).text(), agent.text);
});

Deno.test(
  "GET /metrics gives the text's memory back once it is sent, whole or " +
    "abandoned",
  async () => {
    const line = "podskoop_up 1\n";
    const given: Uint8Array<ArrayBuffer>[] = [];
    const route = metricsRoute({
      exposition: () => {
        const bytes = new Uint8Array(new TextEncoder().encode(line.repeat(20_011)));
        given.push(bytes);
        return Promise.resolve(bytes);
      },
    });
    const whole = await route.request("/");
    assert.equal(whole.headers.get("content-length"), String(20_011 * line.length));
    assert.equal(await whole.text(), line.repeat(20_011));
    const zipped = await route.request("/", { headers: { "accept-encoding": "gzip" } });
    const unzipped = zipped.body?.pipeThrough(new DecompressionStream("gzip"));
    assert.equal(await new Response(unzipped).text(), line.repeat(20_011));
    await (await route.request("/")).body?.cancel();
    assert.deepEqual(given.map(({ buffer }) => buffer.byteLength), [0, 0, 0]);
  },
);
