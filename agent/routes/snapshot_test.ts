import assert from "node:assert/strict";
import type { StartCollecting } from "../snapshot_process.ts";
import { snapshotRoute } from "./snapshot.ts";
import type { Status } from "../surface.ts";

const STATUS = { node: "node-1" } as Status;
const POD = {
  ...{ kind: "pod", namespace: "shop", name: "web-0", netns: 7, netnsCookie: "1" } as const,
  ...{ addresses: [], pids: [], containerIds: [] },
};

/** A route whose snapshots are made by a shell script; what the script was given is in `args`. */
function route(script: string) {
  const args: string[][] = [];
  const start: StartCollecting = (given) => {
    args.push([...given]);
    return new Deno.Command("sh", {
      args: ["-c", script],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  };
  const agent = { pods: () => [POD], status: () => STATUS };
  return { args, app: snapshotRoute(agent, start) };
}

Deno.test("/snapshot gives what the process writes, and tells it who is who", async () => {
  const { app, args } = route("cat");
  const response = await app.request("/?pod=shop/web-0&netns=host,7");
  assert.deepEqual(await response.json(), { node: "node-1", owners: [POD] });
  assert.deepEqual(args, [["--pod=shop/web-0", "--netns=host", "--netns=7"]]);
  const packed = await app.request("/", { headers: { "accept-encoding": "gzip" } });
  assert.equal(packed.headers.get("content-encoding"), "gzip");
  const stream = packed.body?.pipeThrough(new DecompressionStream("gzip"));
  assert.deepEqual(await new Response(stream ?? null).json(), { node: "node-1", owners: [POD] });
});

Deno.test("/snapshot says why there is none, and can be asked again", async () => {
  const { app } = route("cat >/dev/null; echo 'podskoop: Cannot find the pod \"x\"' >&2; exit 2");
  for (const _ of [1, 2]) {
    const response = await app.request("/?pod=x");
    assert.equal(response.status, 404);
    assert.deepEqual(await response.json(), { error: 'Cannot find the pod "x"' });
  }
  const silent = await route("cat >/dev/null; exit 3").app.request("/");
  assert.equal(silent.status, 500);
  await silent.body?.cancel();
});

Deno.test("/snapshot fails in the middle when the process does", async () => {
  const { app } = route("cat >/dev/null; echo '{'; exit 1");
  const response = await app.request("/");
  await assert.rejects(response.text(), /It ended with 1/);
});

Deno.test("/snapshot takes one at a time, and ends it when nobody listens any more", async () => {
  const { app } = route("cat >/dev/null; echo '{'; exec sleep 30");
  const first = await app.request("/");
  const second = await app.request("/");
  assert.equal(second.status, 503);
  await second.body?.cancel();
  await first.body?.cancel();
  const third = await app.request("/");
  assert.equal(third.status, 200);
  await third.body?.cancel();
});
