import assert from "node:assert/strict";
import { CONTAINERS_MAX, DockerSource } from "./docker.ts";

// testdata/: in the form that the reference of Docker Engine API 1.47 has, with what Compose,
// links, the host's network and cri-dockerd make of it; not recorded from an engine.
const RECORDED = await Deno.readTextFile(new URL("testdata/containers.json", import.meta.url));
const WEB = "8dbc6c4aef6f5a1b8cd0a8b7e0ab97dc0c9ae6e2e7f3a90e64bd27b8a9b3e2c1";
const EXPORTER = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const CART = "5b3c1a7e9d2f4068a1c3e5f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b";
const NAMELESS = "9c1d9bd6a2f18d1f4f6e30e34c329a8e9c1d9bd6a2f18d1f4f6e30e34c329a8e";

/** States that both engines have; Podman 4.3 answers a question for another one with an error. */
const STATES = ["created", "running", "paused", "exited"];

function isRefused(url: string): boolean {
  const { status } = JSON.parse(new URL(url).searchParams.get("filters") ?? "{}");
  return status.some((state: string) => !STATES.includes(state));
}

/** An engine that answers with a text, and a source that asks it. */
function engine(milliseconds = 20) {
  const folder = Deno.makeTempDirSync({ prefix: "fake-docker-" });
  const path = `${folder}/docker.sock`;
  const said = { text: RECORDED, status: 200, looks: 0, url: "" };
  const start = () =>
    Deno.serve({ path, onListen: () => {} }, (request) => {
      said.looks++;
      said.url = request.url;
      const status = isRefused(request.url) ? 500 : said.status;
      return new Response(said.text, { status });
    });
  let server = start();
  const source = new DockerSource({ places: [path], lookMilliseconds: milliseconds });
  return {
    said,
    source,
    async stop() {
      await server.shutdown();
      await Deno.remove(path).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // some servers remove it
      });
    },
    start() {
      server = start();
    },
    async until(state: string, why = /^/): Promise<void> {
      for (const end = performance.now() + 10_000; performance.now() < end;) {
        const outcome = source.outcome();
        const because = "because" in outcome ? outcome.because : "";
        if (outcome.state === state && why.test(because)) return;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.fail(`never ${state} ${why}: ${JSON.stringify(source.outcome())}`);
    },
    async [Symbol.asyncDispose]() {
      source.close();
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("docker names containers, and the pods of cri-dockerd", async () => {
  await using e = engine();
  await e.until("working");
  assert.match(
    decodeURIComponent(e.said.url),
    /\/containers\/json\?filters=\{"status":\["created"/,
  );
  assert.deepEqual(e.source.identify({ containerId: WEB }), {
    kind: "container",
    namespace: "container",
    name: "shop-web-1",
    labels: { "com.docker.compose.project": "shop", "com.docker.compose.service": "web" },
  });
  assert.equal(e.source.identify({ containerId: EXPORTER })?.name, "exporter");
  assert.equal(e.source.identify({ containerId: NAMELESS })?.name, NAMELESS.slice(0, 12));
  assert.deepEqual(e.source.identify({ containerId: CART }), {
    kind: "pod",
    namespace: "shop",
    name: "cart-7f9c",
    uid: "2b801b7a-5266-4386-864e-45ed71136371",
  });
  assert.equal(e.source.identify({ containerId: "0".repeat(64) }), undefined);
  assert.equal(e.source.identify({ netns: 7 }), undefined);
  const owner = { pod: { namespace: "container", name: "shop-web-1" } };
  for (const address of ["172.18.0.2", "fd00:18::2", "172.19.0.5"]) {
    assert.deepEqual(e.source.owner(address), owner);
  }
  assert.equal(e.source.owner(""), undefined);
});

Deno.test("docker keeps its names while the engine is away or talks nonsense", async () => {
  await using e = engine();
  await e.until("working");
  e.said.text = "[{}]";
  await e.until("degraded", /^Names are \d+ s old: Cannot ask ".*docker.sock" for its containers/);
  e.said.text = "page not found";
  e.said.status = 404;
  await e.until("degraded", /HTTP 404: page not found/);
  assert.equal(e.source.identify({ containerId: WEB })?.name, "shop-web-1");
  await e.stop();
  await e.until("degraded", /no socket of Docker or Podman/);
  Object.assign(e.said, { text: "[]", status: 200 });
  e.start();
  await e.until("working");
  assert.equal(e.source.identify({ containerId: WEB }), undefined);
});

Deno.test("docker looks again when it is asked to, and not for each who asks", async () => {
  await using e = engine(600_000);
  await e.until("working");
  e.said.text = "[]";
  await Promise.all(Array.from({ length: 17 }, () => e.source.refresh()));
  assert.deepEqual([e.source.identify({ containerId: WEB }), e.said.looks], [undefined, 2]);
});

Deno.test("docker holds no more containers than its limit, and counts the others", async () => {
  const empty = await Deno.makeTempDir();
  const none = new DockerSource({ places: [`${empty}/x.sock`] });
  await using e = engine(600_000);
  await e.until("working");
  const many = Array.from({ length: CONTAINERS_MAX + 3 }, (_, index) => ({ Id: `${index}` }));
  e.said.text = JSON.stringify(many);
  await e.source.refresh();
  await e.until("degraded", /Cannot hold 3 of the containers/);
  assert.deepEqual(e.source.refused(), { dockerContainers: 3 });
  assert.equal(none.outcome().state, "absent");
  assert.equal(e.source.identify({ containerId: `${CONTAINERS_MAX - 1}` })?.kind, "container");
  assert.equal(e.source.identify({ containerId: `${CONTAINERS_MAX}` }), undefined);
  none.close();
  await Deno.remove(empty);
});
