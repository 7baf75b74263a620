import assert from "node:assert/strict";
import { setLevel } from "../log.ts";
import type { Namespace } from "../pods/identity.ts";
import { inumOf } from "./processes.ts";
import { readInNamespaces, targetOf } from "./reader.ts";
import { NamespaceVisitor } from "./visitor.ts";

/** A Worker that begins on a busy machine takes seconds. */
const PATIENCE_MS = 20_000;

/** The namespace that this process is in, which anyone may read. */
function own(): Namespace {
  const inum = inumOf(Deno.readLinkSync("/proc/self/ns/net"));
  const path = "/proc/self/ns/net";
  return { inum, cookie: 0n, host: false, path, pids: [], mounts: [], containerIds: [] };
}

Deno.test("targets name few paths, the one that lasts first, and each once", () => {
  const pids = [1, 2, 3, 4, 5, 6, 7];
  const { paths } = targetOf({ ...own(), path: "/proc/2/ns/net", pids });
  assert.deepEqual(paths, ["/proc/2/ns/net", "/proc/1/ns/net", "/proc/3/ns/net", "/proc/4/ns/net"]);
});

Deno.test("the reader reads what is there, and tells what is gone", async () => {
  const visitor = new NamespaceVisitor();
  try {
    const here = own();
    const gone = { ...own(), inum: 1, path: "/proc/0/ns/net" };
    // Unmounted, and its file not yet removed.
    const going = { ...own(), inum: 2, path: new URL(import.meta.url).pathname };
    const told: Namespace[] = [];
    const files = ["net/dev", "net/no_such_file", "net"];
    const all = [here, gone, going];
    const readings = await readInNamespaces(visitor, all, files, PATIENCE_MS, (namespace) => {
      told.push(namespace);
    });
    const reading = readings.get(here.inum);
    assert.ok(reading !== undefined && "files" in reading);
    assert.deepEqual(Object.keys(reading.files), ["net/dev"]);
    assert.match(reading.files["net/dev"] ?? "", /^Inter-\|.*\n.*\n.*lo:/);
    assert.deepEqual(Object.keys(reading.errors), ["net"]);
    assert.match(reading.errors["net"] ?? "", /^Cannot read "net" in .*: EISDIR$/);
    assert.deepEqual(told, [gone, going]);
    assert.equal(readings.size, 1);
  } finally {
    visitor.close();
  }
});

Deno.test("the reader reads the host on the main thread, when that is where we are", async () => {
  const visitor = new NamespaceVisitor(new URL("data:text/javascript,"));
  const reading = await readInNamespaces(
    visitor,
    [{ ...own(), host: true }],
    ["net/dev"],
    PATIENCE_MS,
  );
  assert.equal(reading.size, 1);
  visitor.close();
});

Deno.test("the reader has the Worker ask netlink, on the host as well", async () => {
  const visitor = new NamespaceVisitor();
  try {
    const here = { ...own(), host: true };
    const files = ["net/dev", "netlink/qdiscs", "netlink/nothing"];
    const reading = (await readInNamespaces(visitor, [here], files, PATIENCE_MS)).get(here.inum);
    assert.ok(reading !== undefined && "files" in reading);
    assert.deepEqual(Object.keys(reading.files), ["net/dev", "netlink/qdiscs"]);
    assert.match(reading.files["netlink/qdiscs"] ?? "", /^device kind handle parent bytes .*\n/);
    assert.deepEqual(reading.errors, {});
  } finally {
    visitor.close();
  }
});

Deno.test("the reader says what netlink takes where a namespace is not entered", async () => {
  const visitor = new NamespaceVisitor(new URL("data:text/javascript,"));
  const here = { ...own(), pids: [Deno.pid] };
  visitor.close();
  const files = ["net/dev", "netlink/qdiscs"];
  const reading = (await readInNamespaces(visitor, [here], files, PATIENCE_MS)).get(here.inum);
  assert.ok(reading !== undefined && "files" in reading);
  assert.deepEqual(Object.keys(reading.files), ["net/dev"]);
  assert.match(reading.errors["netlink/qdiscs"] ?? "", /^Cannot ask netlink in .*CAP_SYS_ADMIN/);
});

Deno.test("the reader does not look itself where the Worker hung", async () => {
  setLevel("error");
  const visitor = new NamespaceVisitor(new URL("data:text/javascript,self.onmessage = () => {}"));
  try {
    // This process is in the namespace, so that its files could be read through it.
    const here = { ...own(), pids: [Deno.pid] };
    for (let round = 0; round < 2; round++) {
      const reading = (await readInNamespaces(visitor, [here], ["net/dev"], 300)).get(here.inum);
      assert.ok(reading !== undefined && "error" in reading);
      assert.equal(reading.late, true);
    }
  } finally {
    visitor.close();
    setLevel("info");
  }
});
