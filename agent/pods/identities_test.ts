import assert from "node:assert/strict";
import { FakeProc } from "../../tests/fake_proc.ts";
import { FakeVisitor } from "../../tests/fake_visitor.ts";
import { Identities } from "./identities.ts";
import type { IdentitySource } from "./identity.ts";
import { NAME_LENGTH_MAX, subjectsOf } from "./naming.ts";
import { NamespaceTable } from "./table.ts";

const HOST = 10;
const UID = "2b801b7a-5266-4386-864e-45ed71136371";
const CID = "8dbc6c4aef6f5a1b8cd0a8b7e0ab97dc0c9ae6e2e7f3a90e64bd27b8a9b3e2c1";
const INNER = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/** A device as a visit reports it. */
function device(index: number, name: string, ...addresses: readonly string[]) {
  return { index, name, loopback: name === "lo", addresses };
}

function node(...sources: readonly IdentitySource[]) {
  return nodeWithMounts("", sources);
}

function nodeWithMounts(mountinfo: string, sources: readonly IdentitySource[]) {
  const proc = new FakeProc();
  Deno.mkdirSync(`${proc.path}/self`);
  Deno.writeTextFileSync(`${proc.path}/self/mountinfo`, mountinfo);
  proc.put(1, { comm: "init", netns: HOST });
  const visitor = new FakeVisitor();
  const ipvs = device(9, "kube-ipvs0", "10.96.0.1", "10.96.0.7");
  visitor.there.set(HOST, { cookie: 1n, interfaces: [device(1, "eth0", "192.0.2.1"), ipvs] });
  const clock = { now: 1000 };
  const now = () => clock.now;
  const table = new NamespaceTable({ visitor, proc: proc.path, now, handles: false });
  const identities = new Identities({ table, sources, node: "node-1", proc: proc.path, now });
  return {
    proc,
    visitor,
    clock,
    table,
    identities,
    [Symbol.dispose]() {
      identities.close();
      table.close();
      proc[Symbol.dispose]();
    },
  };
}

/** A source that knows the name of one pod. */
function sourceOf(podUid: string, name: string): IdentitySource & { refreshes: number } {
  return {
    name: "test",
    refreshes: 0,
    outcome: () => ({ state: "working" }),
    identify: (subject) =>
      subject.podUid === podUid
        ? { kind: "pod", namespace: "shop", name, uid: podUid, labels: { app: "web" } }
        : undefined,
    owner: (address) =>
      address === "10.96.0.1"
        ? { service: { namespace: "default", name: "kubernetes" } }
        : undefined,
    refresh() {
      this.refreshes++;
    },
    close() {},
  };
}

Deno.test("identities tell host, pod, container and process from the kernel alone", async () => {
  using n = node();
  n.proc.put(17, { netns: 20, cgroup: `0::/kubepods/pod${UID}/${CID}\n` });
  n.proc.put(19, { netns: 30, cgroup: `0::/docker/${INNER}\n` });
  n.proc.put(23, { netns: 40, comm: "sleep" });
  for (const inum of [20, 30, 40]) n.visitor.there.set(inum, { cookie: BigInt(inum) });
  await n.identities.tick();
  const at = (inum: number) => n.identities.identityOf({ inum, cookie: BigInt(inum) });
  assert.deepEqual(n.identities.identityOf({ inum: HOST, cookie: 1n }), {
    kind: "host",
    namespace: "",
    name: "",
  });
  assert.deepEqual(at(20), { kind: "pod-uid", namespace: "pod-uid", name: UID, uid: UID });
  assert.deepEqual(at(30), {
    kind: "container",
    namespace: "container",
    name: INNER.slice(0, 12),
  });
  assert.deepEqual(at(40), { kind: "process", namespace: "process", name: "sleep-23" });
  assert.deepEqual(at(50), { kind: "unknown", namespace: "unknown", name: "" });
  assert.equal(at(20), n.identities.identityOfProcess(17));
});

Deno.test("identities ask the sources in order, and to refresh when none knows", async () => {
  const first = sourceOf("other", "no");
  const second = sourceOf(UID, "cart-7f9c");
  using n = node(first, second, sourceOf(UID, "worse"));
  n.proc.put(17, { netns: 20, cgroup: `0::/kubepods/pod${UID}/${CID}\n` });
  n.visitor.there.set(20, { cookie: 7n });
  await n.identities.tick();
  const identity = n.identities.identityOf({ inum: 20, cookie: 7n });
  assert.deepEqual([identity.kind, identity.namespace, identity.name], [
    "pod",
    "shop",
    "cart-7f9c",
  ]);
  assert.equal(second.refreshes, 0);
  n.proc.put(19, { netns: 30, cgroup: `0::/docker/${INNER}\n` });
  n.visitor.there.set(30, { cookie: 8n });
  await n.identities.tick();
  assert.equal(second.refreshes, 1);
  assert.deepEqual([...n.identities.outcomes().keys()], ["namespaces", "test"]);
});

Deno.test("identities have a source look before a young pod goes by its UID", async () => {
  let looks = 0;
  const known = sourceOf(UID, "cart-7f9c");
  const late: IdentitySource = {
    ...known,
    identify: (subject) => looks > 1 ? known.identify(subject) : undefined,
    refresh: async () => {
      await Promise.resolve();
      looks++;
    },
  };
  using n = node(late);
  n.proc.put(17, { netns: 20, cgroup: `0::/kubepods/pod${UID}/${CID}\n` });
  n.visitor.there.set(20, { cookie: 7n });
  await n.identities.tick();
  const key = { inum: 20, cookie: 7n };
  const before = n.identities.identityOf(key);
  assert.deepEqual([before.kind, n.identities.mayBeNamed(key, before)], ["pod-uid", true]);
  const after = await n.identities.resolve(key);
  assert.deepEqual([after.name, n.identities.mayBeNamed(key, after)], ["cart-7f9c", false]);
  n.clock.now += 11;
  assert.equal(n.identities.mayBeNamed(key, before), false);
});

Deno.test("identities let at most 4,096 events wait for a name, and count the others", async () => {
  const never: IdentitySource = { ...sourceOf(UID, "cart-7f9c"), identify: () => undefined };
  using n = node({ ...never, refresh: () => new Promise((resolve) => setTimeout(resolve, 50)) });
  n.proc.put(17, { netns: 20, cgroup: `0::/kubepods/pod${UID}/${CID}\n` });
  n.visitor.there.set(20, { cookie: 7n });
  await n.identities.tick();
  const events = Array.from(
    { length: 4_099 },
    () => n.identities.resolve({ inum: 20, cookie: 7n }),
  );
  const names = await Promise.all(events);
  assert.equal(names.filter(({ kind }) => kind === "pod-uid").length, 4_099);
  assert.equal(n.identities.counts()["waiting"], 3);
});

Deno.test("identities have a source look before a young pod goes by its mount", async () => {
  let looks = 0;
  const late: IdentitySource = {
    ...sourceOf(UID, "cart-7f9c"),
    identify: ({ netns }) =>
      looks > 1 && netns === 20 ? { kind: "pod", namespace: "shop", name: "cart-7f9c" } : undefined,
    refresh: async () => {
      await Promise.resolve();
      looks++;
    },
  };
  const mount = "31 23 0:4 net:[20] /run/netns/cni-1 rw shared:1 - nsfs nsfs rw\n";
  const key = { inum: 20, cookie: 7n };
  for (const sources of [[late], []]) {
    using n = nodeWithMounts(mount, sources);
    n.visitor.there.set(20, { cookie: 7n });
    await n.identities.tick();
    const before = n.identities.identityOf(key);
    assert.deepEqual([before.kind, before.name], ["netns", "cni-1"]);
    assert.equal(n.identities.mayBeNamed(key, before), sources.length > 0);
    const after = await n.identities.resolve(key);
    assert.equal(after.name, sources.length > 0 ? "cart-7f9c" : "cni-1");
  }
});

Deno.test("identities wait for a container's name, and not once it has one", async () => {
  const known: { name?: string } = {};
  const source: IdentitySource = {
    ...sourceOf("", ""),
    identify: () => {
      const { name } = known;
      return name === undefined ? name : { kind: "container", namespace: "container", name };
    },
  };
  using n = node(source);
  n.proc.put(17, { netns: 20, cgroup: `0::/docker/${CID}\n` });
  n.visitor.there.set(20, { cookie: 7n });
  await n.identities.tick();
  const key = { inum: 20, cookie: 7n };
  const unnamed = () => n.identities.mayBeNamed(key, n.identities.identityOf(key));
  assert.equal(unnamed(), true);
  known.name = "shop-web-1";
  await n.identities.tick();
  assert.equal(unnamed(), false);
});

Deno.test("identities keep the name of a pod that its source forgot", async () => {
  let podUid = UID;
  const source = { ...sourceOf(UID, "cart-7f9c") };
  const forgetful: IdentitySource = {
    ...source,
    identify: (subject) => podUid === UID ? source.identify(subject) : undefined,
  };
  using n = node(forgetful);
  n.proc.put(17, { netns: 20, cgroup: `0::/kubepods/pod${UID}/${CID}\n` });
  n.visitor.there.set(20, { cookie: 7n });
  await n.identities.tick();
  n.proc.remove(17);
  podUid = "";
  n.clock.now += 1;
  await n.identities.tick();
  assert.equal(n.identities.identityOf({ inum: 20, cookie: 7n }).name, "cart-7f9c");
  const gone = n.identities.pods().find(({ netns }) => netns === 20);
  assert.equal(gone?.goneAt, new Date(1_000_000).toISOString());
  assert.equal(gone?.name, "cart-7f9c");
});

Deno.test("identities tell pods of the host's network by process", async () => {
  using n = node();
  n.proc.put(17, { netns: HOST, cgroup: `0::/kubepods/pod${UID}/cri-containerd-${CID}.scope\n` });
  n.proc.put(19, { netns: HOST });
  await n.identities.tick();
  assert.equal(n.identities.identityOfProcess(17).name, UID);
  assert.equal(n.identities.identityOfProcess(19).kind, "host");
  assert.equal(n.identities.identityOfProcess(4711).kind, "unknown");
  const members = new Map(
    Array.from(n.identities.members(), ([{ kind }, pids]) => [kind, pids]),
  );
  assert.deepEqual(members, new Map([["host", [1, 19]], ["pod-uid", [17]]]));
  const pods = n.identities.pods().map(({ kind, pids, runtime }) => [kind, pids, runtime]);
  assert.deepEqual(pods, [["host", [1, 19], undefined], ["pod-uid", [17], "containerd"]]);
});

Deno.test("identities of a sidecar are its pod's alone", async () => {
  const self = { kind: "pod", namespace: "shop", name: "cart", uid: UID } as const;
  using proc = new FakeProc();
  proc.put(1, { netns: HOST });
  proc.put(17, { netns: 20, cgroup: `0::/kubepods/pod${UID}/${CID}\n` });
  proc.put(19, { netns: 30 });
  Deno.symlinkSync("17", `${proc.path}/self`);
  const visitor = new FakeVisitor();
  visitor.there.set(20, { cookie: 2n, interfaces: [device(2, "eth0", "10.0.0.2")] });
  const table = new NamespaceTable({ visitor, proc: proc.path, handles: false, alone: true });
  const identities = new Identities({ table, sources: [], node: "a", self, proc: proc.path });
  await identities.tick();
  assert.deepEqual(table.alive().map(({ inum, host }) => [inum, host]), [[20, true]]);
  assert.equal(identities.identityOf({ inum: 20, cookie: 2n }), self);
  assert.equal(identities.identityOfProcess(17), self);
  assert.equal(identities.identityOf({ inum: 30, cookie: 3n }).kind, "unknown");
  assert.deepEqual(identities.owner("10.0.0.2"), { pod: { namespace: "shop", name: "cart" } });
  assert.deepEqual(identities.pods().map(({ name, pids }) => [name, pids]), [["cart", [17]]]);
  table.close();
});

Deno.test("identities ask for a namespace by its mount, also when it has gone", async () => {
  let isKnown = false;
  const pod = { kind: "pod", namespace: "shop", name: "short" } as const;
  const identify = ({ mount }: { readonly mount?: string }) =>
    isKnown && mount === "/run/netns/cni-7" ? pod : undefined;
  using n = nodeWithMounts("9 8 0:4 net:[20] /run/netns/cni-7 rw - nsfs nsfs rw\n", [
    { ...sourceOf("", ""), identify, refresh: () => void (isKnown = true) },
  ]);
  n.visitor.there.set(20, { cookie: 20n });
  await n.table.tick();
  const key = { inum: 20, cookie: 20n };
  assert.equal(n.identities.identityOf(key).name, "cni-7");
  assert.deepEqual(await n.identities.resolve(key), pod);
  const view = n.table.lookup(key) ?? assert.fail("It is not there");
  const mount = { mount: "/run/netns/cni-7" };
  assert.deepEqual(subjectsOf(view, true), [{ netns: 20 }, mount]);
  assert.deepEqual(subjectsOf({ ...view, goneAt: 7 }, true), [{}, mount]);
  assert.deepEqual(subjectsOf({ ...view, podUid: UID }, true), [{ netns: 20, podUid: UID }]);
});

Deno.test("identities take a process on the host's network for whose an event is", async () => {
  using n = node();
  n.proc.put(17, { netns: HOST, cgroup: `7:blkio:/kubepods/pod${UID}/${CID}\n0::/\n` });
  n.proc.put(19, { netns: 20, cgroup: `7:blkio:/kubepods/pod${UID}/${CID}\n0::/\n` });
  await n.identities.tick();
  const host = { inum: HOST, cookie: 0n };
  assert.equal(n.identities.identityOf(host).kind, "host");
  assert.equal(n.identities.identityOf(host, 1n, 17).name, UID);
  assert.equal((await n.identities.resolve(host, undefined, 17)).name, UID);
  assert.equal(n.identities.identityOf(host, undefined, 4711).kind, "host");
  assert.equal(n.identities.identityOf({ inum: 30, cookie: 0n }, undefined, 17).kind, "unknown");
});

Deno.test("identities name a namespace inside of a pod by itself", async () => {
  using n = node(sourceOf(UID, "dind"));
  n.proc.put(17, { netns: 20, start: 5, cgroup: `0::/kubepods/pod${UID}/${CID}\n` });
  const inner = `0::/kubepods/pod${UID}/${CID}/docker/${INNER}\n`;
  n.proc.put(19, { netns: 30, start: 9, cgroup: inner });
  n.proc.put(23, { netns: 40, start: 11, cgroup: `0::/kubepods/pod${UID}/${CID}\n`, comm: "ip" });
  for (const inum of [20, 30, 40]) n.visitor.there.set(inum, { cookie: BigInt(inum) });
  await n.identities.tick();
  const names = [20, 30, 40].map((inum) =>
    n.identities.identityOf({ inum, cookie: BigInt(inum) }).name
  );
  assert.deepEqual(names, ["dind", INNER.slice(0, 12), "ip-23"]);
  // What it reads and writes is the pod's all the same.
  assert.equal(n.identities.identityOfProcess(19).name, "dind");
});

Deno.test("identities make terminal escapes and endless names harmless", async () => {
  using n = node(sourceOf(UID, "a\u001b[31m".padEnd(300, "\u{1f600}")));
  n.proc.put(17, { netns: 20, comm: "x\u001b]0;y\u0007" });
  n.proc.put(19, { netns: 30, cgroup: `0::/kubepods/pod${UID}\n` });
  for (const inum of [20, 30]) n.visitor.there.set(inum, { cookie: BigInt(inum) });
  await n.identities.tick();
  assert.equal(n.identities.identityOf({ inum: 20, cookie: 20n }).name, "x?]0;y?-17");
  const { name } = n.identities.identityOf({ inum: 30, cookie: 30n });
  assert.ok(name.startsWith("a?[31m"));
  assert.ok(Array.from(name).length <= NAME_LENGTH_MAX && name.isWellFormed());
});

Deno.test("identities find the owner of an address, unless several have it", async () => {
  using n = node(sourceOf(UID, "web"));
  n.proc.put(17, { netns: 20, comm: "a" });
  n.proc.put(19, { netns: 30, comm: "b" });
  const lo = device(1, "lo", "127.0.0.1", "::1");
  const both = device(3, "eth1", "10.9.9.9", "fe80::1");
  n.visitor.there.set(20, {
    cookie: 20n,
    interfaces: [lo, device(2, "eth0", "10.0.0.2", "fd00::2"), both],
  });
  n.visitor.there.set(30, { cookie: 30n, interfaces: [lo, device(2, "eth0", "10.0.0.3"), both] });
  await n.identities.tick();
  const a = { pod: { namespace: "process", name: "a-17" } };
  const b = { pod: { namespace: "process", name: "b-19" } };
  const fromB = { inum: 30, cookie: 30n };
  const { identities } = n;
  assert.deepEqual(identities.owner("10.0.0.2"), a);
  assert.deepEqual(identities.owner("fd00::2", fromB), a);
  assert.deepEqual(identities.owner("192.0.2.1"), { node: "node-1" });
  assert.deepEqual(identities.owner("10.9.9.9"), undefined);
  assert.deepEqual(identities.owner("10.9.9.9", fromB), b);
  assert.deepEqual(identities.owner("127.0.0.7", fromB), b);
  assert.deepEqual(identities.owner("::1"), undefined);
  assert.deepEqual(identities.owner("fe80::1"), undefined);
  assert.deepEqual(identities.owner("198.51.100.1"), undefined);
  assert.deepEqual(identities.owner("10.96.0.1"), {
    service: { namespace: "default", name: "kubernetes" },
  });
  // The node has it on a device, for IPVS; it is the service's all the same.
  const fromHost = { inum: HOST, cookie: 1n };
  assert.deepEqual(identities.owner("10.96.0.1", fromHost), identities.owner("10.96.0.1"));
  assert.deepEqual(identities.owner("10.96.0.7", fromHost), { node: "node-1" });
  assert.equal(identities.interfaceName(fromB, 3), "eth1");
  assert.equal(identities.interfaceName(fromB, 4), undefined);
});
