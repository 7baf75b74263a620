import assert from "node:assert/strict";
import { FakeKubernetes, type Misdeed, PODS } from "../../tests/fake_kubernetes.ts";
import { madePod } from "../../tests/made_kubernetes.ts";
import { readKubeconfig } from "./api_server.ts";
import { ApiClient } from "./client.ts";
import { type Pod, readPod } from "./objects.ts";
import { Reflector } from "./reflector.ts";

/** Asks until the answer is the one that is waited for. */
async function until(what: string, is: () => boolean, milliseconds = 10_000): Promise<void> {
  for (const end = performance.now() + milliseconds; !is();) {
    assert.ok(performance.now() < end, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function follow(fake: FakeKubernetes, config = fake.kubeconfig(), milliseconds = 10_000) {
  const held = new Map<string, Pod>();
  const store = {
    replaced: 0,
    replace: (items: readonly Pod[]) => {
      store.replaced++;
      held.clear();
      for (const item of items) held.set(item.uid, item);
    },
    put: (item: Pod) => held.set(item.uid, item),
    remove: (uid: string) => held.delete(uid),
  };
  const client = new ApiClient(readKubeconfig(Deno.readTextFileSync(config), config), milliseconds);
  const kind = { name: "pods", path: PODS, read: readPod };
  const times = { pauseMilliseconds: 10, watchSeconds: 60 };
  const reflector = new Reflector(client, kind, store, times);
  return {
    held,
    store,
    reflector,
    names: () => Array.from(held.values(), ({ name }) => name).sort().join(),
    works: () => until("working", () => reflector.outcome().state === "working"),
    why: () => {
      const outcome = reflector.outcome();
      return "because" in outcome ? `${outcome.state}: ${outcome.because}` : outcome.state;
    },
    async [Symbol.asyncDispose]() {
      reflector.close();
      client[Symbol.dispose]();
      await reflector.ended;
    },
  };
}

Deno.test("reflector lists page by page, and watches from there", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, ...Array.from({ length: 1_009 }, (_, index) => madePod({ name: `p${index}` })));
  await using f = follow(fake);
  await f.works();
  assert.equal(f.held.size, 1_009);
  assert.deepEqual([fake.count(`list ${PODS}`), f.store.replaced], [6, 1]);
  fake.remove(PODS, "uid-p7");
  await until("removed", () => f.held.size === 1_008);
});

Deno.test("reflector takes a broken watch up where it was, bookmarks included", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, madePod({ name: "a" }));
  await using f = follow(fake);
  await f.works();
  fake.put(PODS, madePod({ name: "b" }));
  await until("b", () => f.names() === "a,b");
  fake.bookmark(PODS);
  await new Promise((resolve) => setTimeout(resolve, 50));
  // What was before the bookmark cannot be asked for any more.
  fake.compact();
  fake.breakWatches();
  fake.put(PODS, madePod({ name: "c" }));
  fake.remove(PODS, "uid-a");
  await until("c", () => f.names() === "b,c");
  assert.equal(fake.count(`list ${PODS}`), 1);
});

Deno.test("reflector lists anew when the server has forgotten where it was", async () => {
  for (const misdeed of [undefined, { kind: "status", status: 410 }] as const) {
    await using fake = new FakeKubernetes();
    fake.put(PODS, madePod({ name: "a" }), madePod({ name: "b" }));
    await using f = follow(fake);
    await f.works();
    if (misdeed !== undefined) fake.misdeeds.watch.push(misdeed);
    fake.misdeeds.list.push({ kind: "status", status: 500 });
    fake.breakWatches();
    fake.remove(PODS, "uid-a");
    fake.put(PODS, madePod({ name: "c" }));
    fake.compact();
    // What is held stays until the new list is whole.
    await until("stale", () => /^degraded: The pods are 0 s old/.test(f.why()));
    assert.equal(f.held.size >= 2, true);
    await until("c", () => f.names() === "b,c");
    await f.works();
    assert.equal(fake.count(`list ${PODS}`), 3);
  }
});

Deno.test("reflector lists anew when a page's continuation is too old", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, ...Array.from({ length: 503 }, (_, index) => madePod({ name: `p${index}` })));
  fake.misdeeds.list.push({ kind: "break", bytes: 0 });
  await using f = follow(fake);
  const { list } = fake.misdeeds;
  await until("first", () => list.length === 0);
  await until("all", () => f.held.size === 503);
  await f.works();
  assert.equal(f.store.replaced, 1);
});

const MISDEEDS: readonly Misdeed[] = [
  { kind: "status", status: 500 },
  { kind: "status", status: 429, retryAfter: 0.05 },
  { kind: "break", bytes: 0 },
  { kind: "break", bytes: 97 },
  { kind: "truncate", bytes: 101 },
  { kind: "garbage" },
  { kind: "end" },
  { kind: "error", code: 500 },
];

Deno.test("reflector outlasts whatever a server does wrong, in a list and in a watch", async () => {
  for (const misdeed of MISDEEDS) {
    await using fake = new FakeKubernetes();
    fake.put(PODS, madePod({ name: "a" }));
    if (misdeed.kind !== "end" && misdeed.kind !== "error") fake.misdeeds.list.push(misdeed);
    fake.misdeeds.watch.push(misdeed);
    await using f = follow(fake);
    await until(`${misdeed.kind} before`, () => fake.misdeeds.watch.length === 0);
    // A watch that is to break within an event breaks within this one.
    fake.put(PODS, madePod({ name: "b" }));
    await until(`${misdeed.kind} after`, () => f.names() === "a,b");
    await f.works();
  }
});

Deno.test("reflector gives up on a server that does not answer, and asks again", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, madePod({ name: "a" }));
  fake.misdeeds.list.push({ kind: "hang" });
  fake.misdeeds.watch.push({ kind: "hang" });
  await using f = follow(fake, fake.kubeconfig(), 300);
  await until("late", () => /it has not answered in time/.test(f.why()));
  await f.works();
  assert.equal(f.names(), "a");
});

Deno.test("reflector asks less and less of a server that refuses", async () => {
  await using fake = new FakeKubernetes();
  fake.forbidden.add(PODS);
  await using f = follow(fake);
  await until("failed", () => /^failed: .* HTTP 403: cannot list/.test(f.why()));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  // Ten milliseconds, doubled each time, and half of it at least: at most nine in a second.
  const count = fake.count(`list ${PODS}`);
  assert.ok(count >= 3 && count <= 9, `${count}`);
});

Deno.test("reflector reads the token anew, since it is replaced", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, madePod({ name: "a" }));
  await using f = follow(fake);
  await f.works();
  fake.token = "another";
  fake.breakWatches();
  await until("refused", () => /HTTP 401: Unauthorized/.test(f.why()));
  fake.kubeconfig();
  await f.works();
});

Deno.test("reflector passes over an object that makes no sense, and counts it", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, madePod({ name: "a" }), { metadata: { uid: "odd" } });
  await using f = follow(fake);
  await f.works();
  assert.deepEqual([f.names(), f.reflector.unread], ["a", 1]);
});

Deno.test("reflector trusts the authority of its kubeconfig alone (TLS)", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kubernetes-tls-" });
  const made = await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
      ...["-keyout", `${folder}/key`, "-out", `${folder}/cert`, "-subj", "/CN=api"],
      ...["-addext", "subjectAltName=IP:127.0.0.1"],
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ],
    stderr: "null",
  }).output();
  assert.ok(made.success);
  const cert = await Deno.readTextFile(`${folder}/cert`);
  const key = await Deno.readTextFile(`${folder}/key`);
  await using fake = new FakeKubernetes({ cert, key });
  fake.put(PODS, madePod({ name: "a" }));
  const url = `https://127.0.0.1:${fake.port}`;
  const user = `{ token: right, client-certificate-data: "${btoa(cert)}", ` +
    `client-key-data: "${btoa(key)}" }`;
  {
    await using f = follow(fake, fake.kubeconfig(`{ server: "${url}" }`, user));
    await until("not trusted", () => /^failed: .*(certificate|UnknownIssuer)/i.test(f.why()));
  }
  const trusting = `{ server: "${url}", certificate-authority: "${folder}/cert" }`;
  await using f = follow(fake, fake.kubeconfig(trusting, user));
  await f.works();
  assert.equal(f.names(), "a");
  await Deno.remove(folder, { recursive: true });
});
