import assert from "node:assert/strict";
import { FakeProc } from "../../tests/fake_proc.ts";
import { inumOf, ProcessTable, statOf } from "./processes.ts";

const CID = "8dbc6c4aef6f5a1b8cd0a8b7e0ab97dc0c9ae6e2e7f3a90e64bd27b8a9b3e2c1";

Deno.test("processes read a name with brackets, as any program may have one", () => {
  const stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 31337 0 0";
  assert.deepEqual(statOf(stat), { comm: "a) b (c", start: 31337, isKernels: false });
  assert.equal(
    statOf("7 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 5")?.isKernels,
    true,
  );
  for (const garbage of ["", "7", "7 (a", "7 (a) S", ")(", "7 (a) S 1 7 7 0 -1 x 1"]) {
    assert.equal(statOf(garbage), undefined);
  }
});

Deno.test("processes read a namespace's number from a link", () => {
  assert.equal(inumOf("net:[4026531840]"), 4026531840);
  for (const link of ["", "mnt:[4026531840]", "net:[]", "net:[1] ", -13]) {
    assert.equal(inumOf(link), 0);
  }
});

Deno.test("processes are listed with namespace, name, start, pod and container", () => {
  using proc = new FakeProc();
  proc.put(1, { comm: "init", netns: 10 });
  proc.put(2, { comm: "kthreadd", netns: 10, kernels: true });
  proc.put(17, { comm: "nginx", netns: 20, start: 99, cgroup: `0::/docker/${CID}\n` });
  const table = new ProcessTable(proc.path);
  table.scan(0);
  assert.equal(table.hostNetns, 10);
  assert.deepEqual([...table.all()].map(({ pid }) => pid).sort(), [1, 17]);
  assert.equal(table.isKernels(2), true);
  const { comm, netns, start, containerId, facts, unified } = table.process(17) ?? {};
  assert.deepEqual([comm, netns, start, containerId], ["nginx", 20, 99, CID]);
  assert.equal(facts?.runtime, "docker");
  assert.equal(unified, `/docker/${CID}`);
});

Deno.test("processes that are young are read in full, because they still move", () => {
  using proc = new FakeProc();
  proc.put(1, { netns: 10 });
  const table = new ProcessTable(proc.path);
  table.scan(0);
  proc.put(17, { comm: "sh", netns: 10 });
  table.scan(1000);
  assert.equal(table.process(17)?.netns, 10);
  proc.change(17, { comm: "pause", netns: 20, cgroup: `0::/docker/${CID}\n` });
  table.scan(2000);
  assert.equal(table.process(17)?.netns, 20);
  assert.equal(table.process(17)?.comm, "pause");
  assert.equal(table.process(17)?.containerId, CID);
});

Deno.test("processes that are old show their namespace at once, their cgroup in 10 s", () => {
  using proc = new FakeProc();
  proc.put(1, { netns: 10 });
  proc.put(17, { netns: 10 });
  const table = new ProcessTable(proc.path);
  table.scan(0);
  proc.change(17, { netns: 20, cgroup: `0::/docker/${CID}\n` });
  table.scan(9000);
  assert.equal(table.process(17)?.netns, 20);
  assert.equal(table.process(17)?.containerId, undefined);
  table.scan(10_000);
  assert.equal(table.process(17)?.containerId, CID);
});

Deno.test("processes with a reused pid start anew, because the directory is another", () => {
  using proc = new FakeProc();
  proc.put(1, { netns: 10 });
  proc.put(17, { comm: "old", netns: 20, start: 5, cgroup: `0::/docker/${CID}\n` });
  const table = new ProcessTable(proc.path);
  table.scan(0);
  proc.replace(17, { comm: "new", netns: 10, start: 6 });
  table.scan(9000);
  assert.equal(table.process(17)?.comm, "new");
  assert.equal(table.process(17)?.netns, 10);
  assert.equal(table.process(17)?.containerId, undefined);
  proc.remove(17);
  table.scan(9500);
  assert.equal(table.process(17), undefined);
});

Deno.test("processes without a link, such as zombies, are in no namespace", () => {
  using proc = new FakeProc();
  proc.put(1, { netns: 10 });
  proc.put(17, { netns: 20 });
  Deno.removeSync(`${proc.path}/17/ns/net`);
  proc.put(19, { netns: 20 });
  Deno.writeTextFileSync(`${proc.path}/19/stat`, "garbage");
  const table = new ProcessTable(proc.path);
  table.scan(0);
  assert.equal(table.process(17)?.netns, 0);
  assert.equal(table.process(19), undefined);
  assert.deepEqual(table.outcome(), { state: "working" });
});

Deno.test("processes of a /proc that is not there are a failure that says so", () => {
  const table = new ProcessTable("/nowhere");
  table.scan(0);
  assert.deepEqual(table.outcome(), {
    state: "failed",
    because: 'Cannot list the processes in "/nowhere": is it mounted?',
  });
});

Deno.test("processes that one scan leaves out have their turn in the next", () => {
  using proc = new FakeProc();
  proc.put(1, { netns: 10 });
  for (let pid = 1001; pid <= 1411; pid++) proc.put(pid, { netns: 10 });
  const table = new ProcessTable(proc.path);
  table.scan(0);
  for (let pid = 1001; pid <= 1411; pid++) proc.change(pid, { netns: 20 });
  const moved = () => [...table.all()].filter(({ netns }) => netns === 20).length;
  const seen = [6000, 7000, 8000, 9000].map((now) => {
    table.scan(now);
    return moved();
  });
  // A quarter of 412 at each scan; pid 1, which has not moved, is in one of them.
  assert.ok(seen.every((count, index) => count >= (index + 1) * 103 - 1), `${seen}`);
  assert.ok(seen[0] !== undefined && seen[0] <= 103, `${seen}`);
  assert.equal(seen.at(-1), 411);
});

Deno.test("a thorough scan looks at every process", () => {
  using proc = new FakeProc();
  for (let pid = 1001; pid <= 1411; pid++) proc.put(pid, { netns: 10 });
  const table = new ProcessTable(proc.path);
  table.scan(0);
  for (let pid = 1001; pid <= 1411; pid++) proc.change(pid, { netns: 20 });
  table.scan(6000, true);
  assert.equal([...table.all()].filter(({ netns }) => netns === 20).length, 411);
});

Deno.test("processes that were old at the first scan are not young", () => {
  using proc = new FakeProc();
  Deno.writeTextFileSync(`${proc.path}/uptime`, "100.25 150.00\n");
  proc.put(1, { netns: 10 });
  proc.put(17, { comm: "before", netns: 10, start: 9_400 });
  proc.put(19, { comm: "before", netns: 10, start: 9_900 });
  const table = new ProcessTable(proc.path);
  table.scan(0);
  proc.change(17, { comm: "after", netns: 10, start: 9_400 });
  proc.change(19, { comm: "after", netns: 10, start: 9_900 });
  table.scan(1000);
  // Started 6.25 s and 1.25 s before the first scan.
  assert.equal(table.process(17)?.comm, "before");
  assert.equal(table.process(19)?.comm, "after");
});

Deno.test("processes that did not change are the same objects", () => {
  using proc = new FakeProc();
  proc.put(1, { netns: 10 });
  proc.put(17, { netns: 20, cgroup: `0::/docker/${CID}\n` });
  const table = new ProcessTable(proc.path);
  table.scan(0);
  const process = table.process(17);
  for (const now of [1000, 6000, 11_000, 21_000]) {
    table.scan(now);
    assert.equal(table.process(17), process);
  }
});
