import assert from "node:assert/strict";
import { FakeAgent, fakeEvent } from "../tests/fake_agent.ts";
import { Access, type Caller } from "./access.ts";
import { Diagnoses } from "./diagnoses.ts";
import { HttpCounts } from "./http_counts.ts";
import { CONSOLE_FILES, readConsole } from "./routes/console.ts";
import { EventStreams } from "./routes/event_streams.ts";
import { application, serve } from "./server.ts";

const UNIX: Caller = { by: "unix", tls: false, loopback: true };
const TCP: Caller = { by: "tcp", tls: false, loopback: false };

async function make() {
  const agent = new FakeAgent();
  const counts = new HttpCounts();
  const streams = new EventStreams(agent, counts);
  const access = new Access({ socket: "/run/x.sock" });
  const files = await readConsole();
  const diagnoses = new Diagnoses(() => Promise.reject(new Error("Nobody asks here")), counts);
  const names = ["node-a"];
  const app = application({ agent, access, streams, counts, files, names, diagnoses });
  async function ask(path: string, caller = UNIX, init: RequestInit = {}): Promise<Response> {
    return await app.request(path, init, { caller });
  }
  return { agent, counts, streams, ask };
}

Deno.test("what is open is answered over TCP, the rest by the unix socket alone", async () => {
  const { ask } = await make();
  const open = [
    "/metrics",
    "/status",
    "/healthz",
    "/readyz",
    "/openapi.json",
    ...Object.keys(CONSOLE_FILES),
  ];
  for (const path of open) {
    assert.equal((await ask(path, TCP)).status, 200, path);
    assert.equal((await ask(path, UNIX)).status, 200, path);
  }
  for (const path of ["/events", "/events/stream", "/pods", "/config", "/snapshot", "/diagnoses"]) {
    const refused = await ask(path, TCP);
    assert.equal(refused.status, 403, path);
    assert.match((await refused.json()).error, /unix socket "\/run\/x\.sock" as root/);
    const response = await ask(path, UNIX);
    assert.equal(response.status, 200, path);
    await response.body?.cancel();
  }
  assert.equal((await ask("/config", TCP, { method: "PUT", body: "a: 1" })).status, 403);
});

Deno.test("an unknown path is 404 with the paths there are", async () => {
  const { ask } = await make();
  const response = await ask("/metric");
  assert.equal(response.status, 404);
  const { error, routes } = await response.json();
  assert.equal(error, 'Cannot find "/metric": there is no such path');
  assert.deepEqual(
    routes.map(({ path, methods }: { path: string; methods: string[] }) => `${path} ${methods}`),
    [
      "/metrics GET",
      "/status GET",
      "/healthz GET",
      "/readyz GET",
      "/events GET",
      "/events/stream GET",
      "/pods GET",
      "/config GET,PUT",
      "/snapshot GET",
      "/diagnoses GET,POST",
      "/diagnoses/{id} GET",
      "/diagnose POST",
      "/ GET",
      "/openapi.json GET",
    ],
  );
});

Deno.test("a wrong method is 405 with Allow, whoever asks", async () => {
  const { ask } = await make();
  const cases = [["/metrics", "POST", "GET, HEAD"], [
    "/config",
    "DELETE",
    "GET, HEAD, PUT",
  ]] as const;
  for (const [path, method, allow] of cases) {
    for (const caller of [UNIX, TCP]) {
      const response = await ask(path, caller, { method });
      assert.equal(response.status, 405);
      assert.equal(response.headers.get("allow"), allow);
      assert.equal(
        (await response.json()).error,
        `Cannot ${method} "${path}": allowed methods are ${allow}`,
      );
    }
  }
});

Deno.test("HEAD has the headers of GET and no body", async () => {
  const { ask } = await make();
  for (const path of ["/metrics", "/status", "/events", "/pods", "/config", "/", "/console.js"]) {
    const [get, head] = [await ask(path), await ask(path, UNIX, { method: "HEAD" })];
    assert.equal(head.status, 200);
    assert.deepEqual([...head.headers], [...get.headers]);
    assert.equal(head.body, null);
    assert.equal((await get.arrayBuffer()).byteLength, Number(get.headers.get("content-length")));
  }
});

Deno.test("a slash at the end of a path changes nothing, not even the rights", async () => {
  const { ask } = await make();
  assert.equal((await ask("/pods/", UNIX)).status, 200);
  assert.equal((await ask("/pods/", TCP)).status, 403);
  assert.equal((await ask("//pods", TCP)).status, 404);
  assert.equal((await ask("/%70ods", TCP)).status, 403);
});

Deno.test("a wrong parameter is 400, a failure 500, both as JSON", async () => {
  const { agent, ask } = await make();
  const wrong = await ask("/metrics?names=prometheus", TCP);
  assert.equal(wrong.status, 400);
  assert.deepEqual(await wrong.json(), {
    error: 'Cannot use names="prometheus": allowed is podskoop, inspector, kubeskoop',
  });
  agent.exposition = () => Promise.reject(new Error("Cannot read the map"));
  const failed = await ask("/metrics", TCP);
  assert.equal(failed.status, 500);
  assert.deepEqual(await failed.json(), {
    error: "Cannot answer GET /metrics: Cannot read the map",
  });
});

Deno.test("a browser may run the console's own files and nothing else", async () => {
  const { ask } = await make();
  const page = await ask("/");
  const policy = page.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; .*script-src 'self'/);
  assert.ok(!policy.includes("unsafe"));
  const html = await page.text();
  assert.deepEqual(html.match(/<script[^>]*>[^<]*/g), ['<script type="module" src="console.js">']);
  assert.doesNotMatch(html, / style=| on[a-z]+=|<style/);
  for (const path of ["/status", "/metrics", "/nothing", "/console.js"]) {
    const { headers } = await ask(path);
    assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'(?!.*script)/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("x-frame-options"), "DENY");
    assert.equal(headers.get("access-control-allow-origin"), null);
  }
  assert.equal((await ask("/status")).headers.get("cache-control"), "no-store");
});

Deno.test("the page names the console's own files only, and no other host", async () => {
  const { ask } = await make();
  const page = await (await ask("/")).text();
  const script = await (await ask("/console.js")).text();
  const named = [
    ...page.matchAll(/(?:src|href)="([^"#][^"]*)"/g),
    ...script.matchAll(/from "\.\/([^"]+)"/g),
  ].map(([, name]) => `/${name}`);
  assert.ok(named.length >= 5);
  for (const path of named) assert.equal((await ask(path)).status, 200, path);
  assert.doesNotMatch(
    script,
    /https?:\/\/(?!www\.w3\.org\/2000\/svg)|innerHTML|insertAdjacentHTML|eval\(/,
  );
});

Deno.test("a page of another site is refused what is not open, and the console", async () => {
  const { ask } = await make();
  const evil = { headers: { host: "evil.example.org:9102" } };
  for (const path of ["/config", "/events", "/", "/console.js"]) {
    assert.equal((await ask(path, UNIX, evil)).status, 421, path);
  }
  assert.equal((await ask("/metrics", TCP, evil)).status, 200);
});

Deno.test("requests are counted by route and class of status, bytes as sent", async () => {
  const { counts, ask } = await make();
  let bytes = 0;
  for (const path of ["/metrics", "/metrics", "/metrics?names=x", "/nothing", "/else", "/pods/"]) {
    bytes += (await (await ask(path)).arrayBuffer()).byteLength;
  }
  await ask("/metrics", UNIX, { method: "HEAD" });
  assert.deepEqual(
    [...counts.httpCounts()].map(({ route, code, count }) => `${route} ${code} ${count}`),
    [
      "/metrics 2xx 3",
      "/metrics 4xx 1",
      "other 4xx 2",
      "/pods 2xx 1",
    ],
  );
  assert.equal(counts.sentBytes, bytes);
  assert.equal(counts.inFlight, 0);
});

Deno.test("one request too many at once is 503, and the others are answered", async () => {
  const { agent, counts, ask } = await make();
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  agent.exposition = async () => {
    await gate;
    return new Uint8Array(0);
  };
  const waiting = Array.from({ length: 131 }, () => ask("/metrics"));
  release();
  const statuses = (await Promise.all(waiting)).map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 200).length, 128);
  assert.equal(statuses.filter((status) => status === 503).length, 3);
  assert.equal(counts.requestsRefused, 3);
});

Deno.test("/openapi.json describes every path, and refers to nothing that is missing", async () => {
  const { ask } = await make();
  const document = await (await ask("/openapi.json", TCP)).json();
  assert.equal(document.openapi, "3.1.0");
  assert.equal(document.info.version, "1.2.3");
  assert.equal(Object.keys(document.paths).length, 14);
  assert.deepEqual(Object.keys(document.paths["/config"]), ["get", "put"]);
  const { parameters } = document.paths["/events"].get;
  assert.deepEqual(parameters.map(({ name }: { name: string }) => name), [
    "since",
    "type",
    "namespace",
    "pod",
    "node",
    "after",
    "until",
    "limit",
    "cursor",
  ]);
  assert.doesNotMatch(JSON.stringify(document), /"\$ref"|undefined/);
});

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("serve listens on both, and ends open event streams when it closes", async () => {
  await inFolder(async (folder) => {
    const agent = new FakeAgent();
    const token = "reader-0123456789abcdef";
    await Deno.writeTextFile(`${folder}/tokens`, `${token} reader\n`, { mode: 0o600 });
    const server = await serve({
      agent,
      listen: { hostname: "127.0.0.1", port: 0 },
      socket: `${folder}/podskoop.sock`,
      access: { tokenFile: `${folder}/tokens` },
      nodeName: "node-a",
      kubernetes: false,
    });
    assert.equal(server.url, `http://127.0.0.1:${server.address.port}/`);
    using client = Deno.createHttpClient({
      proxy: { transport: "unix", path: server.socket },
    });
    const byUnix = await fetch("http://podskoop/config", { client });
    assert.equal(await byUnix.text(), agent.configText);
    const headers = { authorization: `Bearer ${token}` };
    for (const [init, status] of [[{}, 401], [{ headers }, 403]] as const) {
      const refused = await fetch(`${server.url}config`, init);
      assert.equal(refused.status, status);
      await refused.body?.cancel();
    }
    // As it comes through a proxy that keeps the other header to itself.
    const proxied = { "podskoop-authorization": `Bearer ${token}`, authorization: "Basic eDp5" };
    const passed = await fetch(`${server.url}pods`, { headers: proxied });
    assert.equal(passed.status, 200);
    await passed.body?.cancel();
    const streams = await Promise.all([
      fetch("http://podskoop/events/stream", { client }),
      fetch(`${server.url}events/stream`, { headers }),
    ]);
    agent.publish(fakeEvent(23));
    const texts = Promise.all(streams.map((response) => response.text()));
    while (server.counts.sentBytes < 1_000) await new Promise((resolve) => setTimeout(resolve, 5));
    const began = performance.now();
    await server.close();
    assert.ok(performance.now() - began < 1_000);
    for (const text of await texts) assert.match(text, /^retry: 3000\n\nid: 23\ndata: \{.*\}\n\n$/);
    assert.equal(agent.subscribers, 0);
    await assert.rejects(Deno.lstat(server.socket), Deno.errors.NotFound);
  });
});

Deno.test("a client that goes away ends its stream", async () => {
  await inFolder(async (folder) => {
    const agent = new FakeAgent();
    const server = await serve({
      agent,
      listen: { hostname: "127.0.0.1", port: 0 },
      socket: `${folder}/podskoop.sock`,
      access: {},
      nodeName: "node-a",
      kubernetes: false,
    });
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path: server.socket } });
    const abort = new AbortController();
    const { signal } = abort;
    const response = await fetch("http://podskoop/events/stream", { client, signal });
    assert.equal(server.counts.streams, 1);
    abort.abort();
    await assert.rejects(response.text());
    for (let tries = 0; server.counts.streams > 0 && tries < 200; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual([server.counts.streams, agent.subscribers], [0, 0]);
    await server.close();
  });
});

Deno.test("when one listener cannot be opened the other is closed again", async () => {
  await inFolder(async (folder) => {
    const options = {
      agent: new FakeAgent(),
      listen: { hostname: "127.0.0.1", port: 0 },
      access: {},
      nodeName: "node-a",
      kubernetes: false,
    } as const;
    const first = await serve({ ...options, socket: `${folder}/a.sock` });
    const listen = { hostname: "127.0.0.1", port: first.address.port };
    await assert.rejects(serve({ ...options, listen, socket: `${folder}/b.sock` }), /is in use/);
    await assert.rejects(Deno.lstat(`${folder}/b.sock`), Deno.errors.NotFound);
    const { port } = first.address;
    await first.close();
    await Deno.writeTextFile(`${folder}/c.sock`, "");
    await assert.rejects(
      serve({ ...options, listen: { hostname: "127.0.0.1", port }, socket: `${folder}/c.sock` }),
      /is no socket/,
    );
    const again = await serve({ ...options, listen, socket: `${folder}/a.sock` });
    await again.close();
  });
});
