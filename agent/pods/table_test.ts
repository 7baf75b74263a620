import assert from "node:assert/strict";
import { FakeProc } from "../../tests/fake_proc.ts";
import { FakeVisitor } from "../../tests/fake_visitor.ts";
import { GONE_SECONDS, NamespaceTable } from "./table.ts";

const HOST = 10;

/** A node with its own process, whose kernel tells no cookie from outside. */
function node() {
  const proc = new FakeProc();
  proc.put(1, { comm: "init", netns: HOST });
  const visitor = new FakeVisitor();
  visitor.there.set(HOST, { cookie: 1n });
  const clock = { now: 1000 };
  const table = new NamespaceTable({
    visitor,
    proc: proc.path,
    now: () => clock.now,
    handles: false,
  });
  return {
    proc,
    visitor,
    clock,
    table,
    [Symbol.dispose]() {
      table.close();
      proc[Symbol.dispose]();
    },
  };
}

Deno.test("namespaces are the host's and those of processes, and know their members", async () => {
  using n = node();
  n.proc.put(17, { comm: "pause", netns: 20, start: 5 });
  n.proc.put(19, { comm: "nginx", netns: 20, start: 3 });
  n.visitor.there.set(20, { cookie: 7n });
  await n.table.tick();
  const [host, pod] = n.table.alive();
  assert.equal(host?.host, true);
  assert.equal(host?.cookie, 1n);
  assert.deepEqual(pod?.pids, [17, 19]);
  assert.equal(pod?.cookie, 7n);
  assert.deepEqual(pod?.first, { pid: 19, comm: "nginx" });
  assert.equal(pod?.path, `${n.proc.path}/19/ns/net`);
  assert.equal(n.table.lookup({ inum: 20, cookie: 7n }), pod);
  assert.equal(n.table.lookup({ inum: 20, cookie: 0n }), pod);
});

Deno.test("a namespace that is gone is found for 60 s, by cookie and by number", async () => {
  using n = node();
  n.proc.put(17, { netns: 20 });
  n.visitor.there.set(20, { cookie: 7n });
  await n.table.tick();
  n.proc.remove(17);
  n.visitor.there.delete(20);
  n.clock.now += 1;
  await n.table.tick();
  assert.equal(n.table.alive().length, 1);
  const [gone] = n.table.gone();
  assert.equal(gone?.goneAt, 1000);
  assert.deepEqual(gone?.pids, []);
  assert.equal(n.table.lookup({ inum: 20, cookie: 7n }), gone);
  assert.equal(n.table.lookup({ inum: 20, cookie: 0n }), gone);
  n.clock.now = 1000 + GONE_SECONDS - 1;
  await n.table.tick();
  assert.equal(n.table.lookup({ inum: 20, cookie: 7n }), gone);
  n.clock.now = 1000 + GONE_SECONDS;
  await n.table.tick();
  assert.equal(n.table.lookup({ inum: 20, cookie: 7n }), undefined);
  assert.deepEqual(n.table.gone(), []);
});

Deno.test("a reused number inherits nothing", async () => {
  using n = node();
  n.proc.put(17, { comm: "old", netns: 20 });
  n.visitor.there.set(20, { cookie: 7n });
  await n.table.tick();
  n.proc.remove(17);
  n.proc.put(19, { comm: "new", netns: 20 });
  n.visitor.there.set(20, { cookie: 8n });
  n.clock.now += 1;
  const ticked = n.table.tick();
  // Until the visit is back, the number is nobody's; the old one is still found by its cookie.
  assert.equal(n.table.byInum(20), undefined);
  assert.equal(n.table.lookup({ inum: 20, cookie: 0n }), undefined);
  assert.equal(n.table.lookup({ inum: 20, cookie: 7n })?.first?.comm, "old");
  await ticked;
  assert.equal(n.table.lookup({ inum: 20, cookie: 7n })?.first?.comm, "old");
  assert.equal(n.table.lookup({ inum: 20, cookie: 7n })?.goneAt, 1000);
  assert.equal(n.table.lookup({ inum: 20, cookie: 8n })?.first?.comm, "new");
  assert.equal(n.table.lookup({ inum: 20, cookie: 0n })?.first?.comm, "new");
  assert.equal(n.table.counts.reused, 1);
});

Deno.test("a namespace whose processes were all replaced goes on", async () => {
  using n = node();
  n.proc.put(17, { comm: "old", netns: 20 });
  n.visitor.there.set(20, { cookie: 7n });
  await n.table.tick();
  n.proc.remove(17);
  n.proc.put(19, { comm: "new", netns: 20 });
  n.clock.now += 1;
  const ticked = n.table.tick();
  assert.equal(n.table.alive().length, 2);
  await ticked;
  const known = n.table.byInum(20);
  assert.deepEqual([known?.cookie, known?.seenAt, known?.pids], [7n, 1000, [19]]);
  assert.deepEqual(known?.first, { pid: 17, comm: "old" });
  assert.equal(n.table.counts.reused, 0);
  assert.deepEqual(n.table.gone(), []);
});

Deno.test("a number that is in doubt, and not visited in time, stays whose it was", async () => {
  using n = node();
  n.proc.put(17, { comm: "old", netns: 20 });
  n.visitor.there.set(20, { cookie: 7n });
  await n.table.tick();
  n.proc.remove(17);
  n.proc.put(19, { comm: "new", netns: 20 });
  n.visitor.there.set(20, { cookie: 8n });
  n.visitor.late.add(20);
  for (let round = 0; round < 3; round++) {
    n.clock.now += 1;
    await n.table.tick();
    assert.equal(n.table.byInum(20)?.cookie, 7n);
    assert.deepEqual(n.table.alive().map(({ cookie }) => cookie), [1n, 7n]);
  }
  assert.equal(n.table.counts.reused, 0);
  n.visitor.late.delete(20);
  n.clock.now += 1;
  await n.table.tick();
  assert.equal(n.table.byInum(20)?.cookie, 8n);
  assert.equal(n.table.lookup({ inum: 20, cookie: 7n })?.first?.comm, "old");
  assert.equal(n.table.counts.reused, 1);
});

Deno.test("a cookie counts only for what is still there after the visit", async () => {
  using n = node();
  n.proc.put(17, { comm: "short", netns: 20 });
  n.visitor.there.set(20, { cookie: 8n });
  // The visit entered the next namespace with that number already.
  n.visitor.onVisit = () => {
    n.proc.remove(17);
    n.proc.put(19, { comm: "next", netns: 20 });
    n.visitor.onVisit = () => {};
  };
  await n.table.tick();
  assert.equal(n.table.lookup({ inum: 20, cookie: 8n })?.first?.comm, "next");
});

Deno.test("a visit finds out a process that made itself a namespace anew", async () => {
  using n = node();
  n.proc.put(17, { comm: "tool", netns: 20 });
  n.visitor.there.set(20, { cookie: 7n });
  await n.table.tick();
  n.visitor.there.set(20, { cookie: 8n });
  n.table.doubt({ inum: 20, cookie: 7n });
  n.clock.now += 1;
  await n.table.tick();
  assert.equal(n.table.byInum(20)?.cookie, 8n);
  assert.equal(n.table.lookup({ inum: 20, cookie: 7n })?.goneAt, 1000);
});

Deno.test("an unknown namespace starts a scan, at most ten in a second", async () => {
  using n = node();
  await n.table.tick();
  n.proc.put(17, { netns: 20 });
  n.visitor.there.set(20, { cookie: 7n });
  const namespace = await n.table.resolve({ inum: 20, cookie: 7n });
  assert.deepEqual(namespace?.pids, [17]);
  assert.equal(n.table.counts.rescans, 1);
  for (let cookie = 100n; cookie < 123n; cookie++) {
    assert.equal(n.table.lookup({ inum: 30, cookie }), undefined);
  }
  assert.equal(n.table.counts.rescans, 10);
  assert.equal(n.table.counts.rescansRefused, 14);
  n.clock.now += 1;
  n.table.lookup({ inum: 30, cookie: 500n });
  // A namespace that nobody finds asks less and less often.
  n.table.lookup({ inum: 30, cookie: 500n });
  assert.equal(n.table.counts.rescans, 11);
});

Deno.test("what the last scan saw is told without another", async () => {
  using n = node();
  await n.table.tick();
  n.proc.put(17, { netns: 20 });
  n.visitor.there.set(20, { cookie: 7n });
  assert.equal(n.table.seen({ inum: 20, cookie: 7n }), undefined);
  assert.equal(n.table.counts.rescans, 0);
  await n.table.tick();
  assert.deepEqual(n.table.seen({ inum: 20, cookie: 7n })?.pids, [17]);
});

Deno.test("a kernel without cookies has its namespaces told apart by their processes", async () => {
  using n = node();
  n.visitor.there.set(HOST, { cookie: 0n });
  n.proc.put(17, { comm: "old", netns: 20 });
  n.visitor.there.set(20, { cookie: 0n });
  await n.table.tick();
  assert.equal(n.table.lookup({ inum: 20, cookie: 5n })?.first?.comm, "old");
  n.proc.remove(17);
  n.proc.put(19, { comm: "new", netns: 20 });
  n.clock.now += 1;
  await n.table.tick();
  assert.equal(n.table.byInum(20)?.first?.comm, "new");
  assert.equal(n.table.gone()[0]?.first?.comm, "old");
  assert.equal(n.table.counts.reused, 1);
});

Deno.test("a pod stays known when only other processes are left in it", async () => {
  using n = node();
  const uid = "2b801b7a-5266-4386-864e-45ed71136371";
  const other = "11111111-5266-4386-864e-45ed71136371";
  n.proc.put(17, { netns: 20, start: 5, cgroup: `0::/kubepods/pod${uid}\n` });
  n.proc.put(23, { netns: 20, start: 9, cgroup: `0::/kubepods/pod${other}\n` });
  n.proc.put(29, { netns: 20, start: 1 });
  n.visitor.there.set(20, { cookie: 7n });
  await n.table.tick();
  assert.equal(n.table.byInum(20)?.podUid, uid);
  n.proc.remove(17);
  n.proc.remove(23);
  n.clock.now += 1;
  await n.table.tick();
  assert.equal(n.table.byInum(20)?.podUid, uid);
});

Deno.test("who waits for a namespace is let go when the table closes", async () => {
  using n = node();
  await n.table.tick();
  const began = performance.now();
  const waiting = n.table.resolve({ inum: 99, cookie: 9n });
  await new Promise((resolve) => setTimeout(resolve, 50));
  n.table.close();
  assert.equal(await waiting, undefined);
  assert.ok(performance.now() - began < 2_000, "It waited to its end");
});

Deno.test("who waits for a namespace has it from the next scan of anyone", async () => {
  using n = node();
  await n.table.tick();
  const waiting = n.table.resolve({ inum: 20, cookie: 7n });
  await new Promise((resolve) => setTimeout(resolve, 50));
  n.proc.put(17, { netns: 20 });
  n.visitor.there.set(20, { cookie: 7n });
  await n.table.tick();
  assert.deepEqual((await waiting)?.pids, [17]);
});

Deno.test("of namespaces without cookies, those that have ended are told once", async () => {
  using n = node();
  n.proc.put(17, { comm: "old", netns: 20 });
  n.proc.put(18, { comm: "other", netns: 21 });
  n.visitor.there.set(20, { cookie: 0n });
  n.visitor.there.set(21, { cookie: 9n });
  await n.table.tick();
  assert.deepEqual(n.table.takeEnded(), []);
  // The number is given out again between two looks.
  n.proc.remove(17);
  n.proc.put(19, { comm: "new", netns: 20 });
  n.clock.now += 1;
  const ticked = n.table.tick();
  // Known before the visit is over: who has the number now may count already.
  assert.deepEqual(n.table.takeEnded().map(({ first }) => first?.comm), ["old"]);
  await ticked;
  n.proc.remove(18);
  n.proc.remove(19);
  n.clock.now += 1;
  await n.table.tick();
  assert.deepEqual(n.table.takeEnded().map(({ first }) => first?.comm), ["new"]);
  assert.deepEqual(n.table.takeEnded(), []);
});

Deno.test("a mount is new by its path, too: its number may have been used before", async () => {
  using n = node();
  Deno.mkdirSync(`${n.proc.path}/self`);
  const line = "40 27 0:4 net:[20] /run/netns/blue rw shared:7 - nsfs nsfs rw\n";
  Deno.writeTextFileSync(`${n.proc.path}/self/mountinfo`, line);
  n.visitor.there.set(20, { cookie: 7n });
  await n.table.tick();
  const mount = (inum: number, path: string) => ({ inum, path, opens: path });
  const blue = mount(20, "/run/netns/blue");
  assert.equal(n.table.lacksAny([blue]), false);
  assert.equal(n.table.lacksAny([blue, mount(20, "/run/netns/red")]), true);
  assert.equal(n.table.lacksAny([blue, mount(21, "/run/netns/blue")]), true);
});
