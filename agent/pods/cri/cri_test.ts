import assert from "node:assert/strict";
import { type FakePod, FakeRuntime } from "../../../tests/fake_runtime.ts";
import { eventually } from "../../../tests/host/lab.ts";
import { setLevel } from "../../log.ts";
import { CriSource } from "./cri.ts";
import { SANDBOXES_MAX } from "./sandboxes.ts";

setLevel("error");

const OWN_NETNS = Deno.statSync("/proc/self/ns/net").ino ?? 0;
const WEB: FakePod = {
  ...{ id: "sandbox-1", name: "web", namespace: "shop", uid: "uid-1", containers: ["c-1", "c-2"] },
  ...{
    addresses: ["10.0.0.7", "fd00::7"],
    labels: { "io.kubernetes.pod.name": "web", b: "2", a: "1" },
  },
  info: JSON.stringify({ pid: Deno.pid, runtimeSpec: { linux: { namespaces: [] } } }),
};
const IDENTITY = {
  ...{ kind: "pod", namespace: "shop", name: "web", uid: "uid-1", labels: { a: "1", b: "2" } },
};

/** A source that looks every 20 ms, and gives a call up after 100. */
function sourceOf({ path }: { readonly path: string }) {
  const source = new CriSource({
    ...{ endpoint: `unix://${path}`, lookMilliseconds: 20, callMilliseconds: 100 },
  });
  const state = async (
    wanted: string,
  ) => (await eventually(() => Promise.resolve(source.outcome()), ({ state }) => state === wanted));
  const named = async (uid: string) =>
    await eventually(
      () => Promise.resolve(source.identify({ podUid: uid })?.name),
      (name) => name !== undefined,
    );
  return { source, state, named, [Symbol.dispose]: () => source.close() };
}

Deno.test("cri names a pod by container, sandbox, UID, namespace and address", async () => {
  await using fake = new FakeRuntime();
  fake.pods = [WEB];
  using s = sourceOf(fake);
  assert.deepEqual(await s.state("working"), { state: "working" });
  for (const containerId of ["c-1", "c-2", "sandbox-1"]) {
    assert.deepEqual(s.source.identify({ containerId }), IDENTITY);
  }
  assert.deepEqual(s.source.identify({ podUid: "uid-1", containerId: "not yet" }), IDENTITY);
  assert.deepEqual(s.source.identify({ netns: OWN_NETNS }), IDENTITY);
  for (const address of ["10.0.0.7", "fd00::7"]) {
    assert.deepEqual(s.source.owner(address), { pod: { namespace: "shop", name: "web" } });
  }
  assert.equal(s.source.owner("10.0.0.8"), undefined);
});

Deno.test("cri does not name what only has the number of a pod's namespace", async () => {
  await using fake = new FakeRuntime();
  fake.pods = [WEB];
  using s = sourceOf(fake);
  await s.state("working");
  assert.equal(s.source.identify({ netns: OWN_NETNS, containerId: "inner" }), undefined);
  assert.equal(s.source.identify({ netns: OWN_NETNS, podUid: "younger" }), undefined);
  assert.equal(s.source.identify({}), undefined);
});

Deno.test("cri names a pod by where its namespace was mounted, too", async () => {
  await using fake = new FakeRuntime();
  const path = "/var/run/netns/cni-7f3c";
  const namespaces = [{ type: "pid" }, { type: "network", path }];
  const info = JSON.stringify({ runtimeSpec: { linux: { namespaces } } });
  fake.pods = [{ ...WEB, info, ready: false }];
  using s = sourceOf(fake);
  await s.state("working");
  assert.deepEqual(s.source.identify({ mount: "/run/netns/cni-7f3c" }), IDENTITY);
  assert.deepEqual(s.source.identify({ mount: path }), IDENTITY);
  assert.equal(s.source.identify({ mount: "/run/netns/cni-7f3d" }), undefined);
});

Deno.test("cri takes no namespace and no address from a pod of the host's network", async () => {
  await using fake = new FakeRuntime();
  fake.pods = [{ ...WEB, hostNetwork: true }];
  using s = sourceOf(fake);
  await s.state("working");
  assert.equal(s.source.identify({ netns: OWN_NETNS }), undefined);
  assert.equal(s.source.owner("10.0.0.7"), undefined);
  assert.deepEqual(s.source.identify({ containerId: "c-1" }), IDENTITY);
});

Deno.test("cri prefers a pod's youngest ready sandbox, and asks for no status twice", async () => {
  await using fake = new FakeRuntime();
  const old = { ...WEB, id: "sandbox-0", ready: false, labels: { old: "yes" }, containers: [] };
  fake.pods = [{ ...WEB, attempt: 1 }, old];
  using s = sourceOf(fake);
  await s.state("working");
  assert.deepEqual(s.source.identify({ podUid: "uid-1" }), IDENTITY);
  assert.deepEqual(s.source.identify({ containerId: "sandbox-0" })?.labels, { old: "yes" });
  const looks = fake.count("ListPodSandbox");
  await eventually(() => Promise.resolve(fake.count("ListPodSandbox")), (n) => n > looks + 3);
  assert.equal(fake.count("PodSandboxStatus"), 2);
});

Deno.test("cri follows a pod that is made anew under its old name", async () => {
  await using fake = new FakeRuntime();
  fake.pods = [WEB];
  using s = sourceOf(fake);
  await s.state("working");
  fake.pods = [{ ...WEB, id: "sandbox-2", uid: "uid-2", containers: ["c-3"] }];
  assert.equal(await s.named("uid-2"), "web");
  assert.equal(s.source.identify({ containerId: "c-3" })?.uid, "uid-2");
  assert.deepEqual(s.source.owner("10.0.0.7"), { pod: { namespace: "shop", name: "web" } });
  // Late events are still those of the pod that has gone, by its own ids alone.
  assert.deepEqual(s.source.identify({ podUid: "uid-1" }), IDENTITY);
  assert.deepEqual(s.source.identify({ containerId: "sandbox-1" }), IDENTITY);
  fake.pods = [];
  await eventually(
    () => Promise.resolve(s.source.owner("10.0.0.7")),
    (owner) => owner === undefined,
  );
  assert.equal(s.source.owner("10.0.0.7"), undefined);
  assert.equal(s.source.identify({ netns: OWN_NETNS }), undefined);
  assert.equal(s.source.identify({ podUid: "uid-2" })?.name, "web");
});

for (
  const [what, misbehaviour, why] of [
    ["hangs", { kind: "hang" }, /it has not answered for 100 ms/],
    ["refuses", { kind: "error", code: 14, words: "not ready" }, /ListPodSandbox: not ready/],
    ["sends half", { kind: "bytes", bytes: Uint8Array.of(0, 0) }, /ended after 2 of 5 bytes/],
    [
      "sends no message",
      { kind: "bytes", bytes: Uint8Array.of(0, 0, 0, 0, 1, 0xff) },
      /Cannot read a message of 1 bytes/,
    ],
  ] as const
) {
  Deno.test(`cri keeps its names while the runtime ${what}, says so, and recovers`, async () => {
    await using fake = new FakeRuntime();
    fake.pods = [WEB];
    using s = sourceOf(fake);
    await s.state("working");
    fake.misbehaviour.set("ListPodSandbox", misbehaviour);
    const outcome = await s.state("degraded");
    assert.ok("because" in outcome && /^Names are \d+ s old: /.test(outcome.because));
    assert.match(outcome.because, why);
    assert.deepEqual(s.source.identify({ containerId: "c-1" }), IDENTITY);
    fake.misbehaviour.delete("ListPodSandbox");
    fake.pods = [WEB, { ...WEB, id: "sandbox-2", name: "two", uid: "uid-2" }];
    assert.deepEqual(await s.state("working"), { state: "working" });
    assert.equal(await s.named("uid-2"), "two");
  });
}

Deno.test("cri keeps its names while the runtime is restarted and its socket gone", async () => {
  await using fake = new FakeRuntime();
  fake.pods = [WEB];
  using s = sourceOf(fake);
  await s.state("working");
  await fake.stop();
  assert.equal((await s.state("degraded")).state, "degraded");
  assert.deepEqual(s.source.identify({ containerId: "c-1" }), IDENTITY);
  fake.start();
  assert.deepEqual(await s.state("working"), { state: "working" });
});

Deno.test("cri names pods without their status, when the runtime refuses that", async () => {
  await using fake = new FakeRuntime();
  fake.pods = [WEB, { ...WEB, id: "sandbox-2", name: "two", uid: "uid-2" }];
  fake.misbehaviour.set("PodSandboxStatus", { kind: "hang" });
  using s = sourceOf(fake);
  const outcome = await s.state("degraded");
  assert.ok("because" in outcome && /PodSandboxStatus: it has not answered/.test(outcome.because));
  assert.equal(await s.named("uid-2"), "two");
  assert.equal(s.source.owner("10.0.0.7"), undefined);
  fake.misbehaviour.delete("PodSandboxStatus");
  fake.pods = [WEB];
  await s.state("working");
  assert.deepEqual(s.source.owner("10.0.0.7"), { pod: { namespace: "shop", name: "web" } });
});

Deno.test("cri looks at once when the runtime says that something has changed", async () => {
  await using fake = new FakeRuntime();
  fake.streamEvents();
  const endpoint = fake.path;
  const source = new CriSource({ endpoint, lookMilliseconds: 600_000 });
  const listens = () => Promise.resolve(fake.count("GetContainerEvents"));
  assert.equal(await eventually(listens, (count) => count === 1), 1);
  fake.pods = [WEB];
  fake.event();
  const look = () => Promise.resolve(source.identify({ podUid: "uid-1" })?.name);
  assert.equal(await eventually(look, (name) => name !== undefined, 2_000), "web");
  source.close();
});

Deno.test("cri looks soon when it is asked to, and not more than four times a second", async () => {
  await using fake = new FakeRuntime();
  const source = new CriSource({ endpoint: fake.path, lookMilliseconds: 600_000 });
  const looks = () => Promise.resolve(fake.count("ListPodSandbox"));
  await eventually(looks, (count) => count === 1);
  const until = Date.now() + 600;
  for (; Date.now() < until; await new Promise((resolve) => setTimeout(resolve, 5))) {
    source.refresh();
  }
  const count = await looks();
  assert.ok(count >= 2 && count <= 4, `${count}`);
  source.close();
});

Deno.test("cri holds no more sandboxes than its limit, and counts the others", async () => {
  await using fake = new FakeRuntime();
  fake.pods = Array.from({ length: SANDBOXES_MAX + 3 }, (_, index) => ({
    ...{ id: `s${index}`, name: `p${index}`, namespace: "n", uid: `u${index}`, ready: index > 2 },
    addresses: [`10.1.${index >> 8}.${index & 255}`],
  }));
  using source = new class extends CriSource {
    [Symbol.dispose]() {
      this.close();
    }
  }({ endpoint: fake.path, lookMilliseconds: 600_000 });
  const outcome = await eventually(
    () => Promise.resolve(source.outcome()),
    ({ state }) => state === "degraded",
    20_000,
  );
  assert.ok("because" in outcome && /Cannot hold 3 of the sandboxes/.test(outcome.because));
  assert.deepEqual(source.refused(), { sandboxes: 3, containers: 0 });
  assert.equal(source.identify({ podUid: "u0" }), undefined);
  assert.equal(source.identify({ podUid: `u${SANDBOXES_MAX + 2}` })?.name, `p${SANDBOXES_MAX + 2}`);
});

Deno.test("cri is absent without a runtime, and failed where the one named is not", async () => {
  const none = new CriSource({ places: ["/nonexistent/a.sock", "/etc/passwd"] });
  const look = (source: CriSource, wanted: string) =>
    eventually(
      () => Promise.resolve(source.outcome()),
      (o) => "because" in o && o.state === wanted,
    );
  await new Promise((resolve) => setTimeout(resolve, 100));
  const absent = await look(none, "absent");
  assert.ok("because" in absent && /--runtime-endpoint/.test(absent.because));
  none.close();
  const wrong = new CriSource({ endpoint: "/nonexistent/b.sock" });
  const failed = await look(wrong, "failed");
  assert.ok("because" in failed && /Cannot ask "\/nonexistent\/b.sock" for/.test(failed.because));
  wrong.close();
});

Deno.test("cri passes over a socket that is no container runtime's", async () => {
  await using other = new FakeRuntime();
  await using fake = new FakeRuntime();
  other.misbehaviour.set("ListPodSandbox", { kind: "error", code: 12, words: "unknown service" });
  fake.pods = [WEB];
  const source = new CriSource({ places: [other.path, fake.path], lookMilliseconds: 20 });
  const look = () => Promise.resolve(source.identify({ podUid: "uid-1" })?.name);
  assert.equal(await eventually(look, (name) => name !== undefined), "web");
  source.close();
});
