import assert from "node:assert/strict";
import { setLevel } from "../log.ts";
import { close, socketDrops } from "./libc.ts";
import { inumOf } from "./processes.ts";
import { NamespaceTools } from "./tools.ts";
import { NamespaceVisitor } from "./visitor.ts";

const path = "/proc/self/ns/net";
const target = { inum: inumOf(Deno.readLinkSync(path)), cookie: 0n, paths: [path] };
const wanted = { files: ["net/dev"], interfaces: true };

Deno.test("a visit brings files, devices and cookie of a namespace", async () => {
  const visitor = new NamespaceVisitor();
  try {
    const [result] = await visitor.visit([target], wanted, 20_000);
    assert.ok(result?.state === "read");
    const { files, interfaces = [] } = result.sight;
    const names = (files["net/dev"] ?? "").split("\n").slice(2, -1).map((line) =>
      line.slice(0, line.indexOf(":")).trim()
    );
    assert.deepEqual(interfaces.map(({ name }) => name).sort(), names.sort());
    const lo = interfaces.find(({ name }) => name === "lo");
    assert.deepEqual([lo?.loopback, lo?.index], [true, 1]);
    assert.deepEqual(visitor.outcome(), { state: "working" });
  } finally {
    visitor.close();
  }
});

Deno.test("a visit opens a socket in the namespace that hears its multicasts", async () => {
  const visitor = new NamespaceVisitor();
  try {
    // NETLINK_ROUTE's group of neighbours, RTNLGRP_NEIGH, which takes no privilege.
    const listening = { protocol: 0, groups: [3], bytes: 65_536 };
    const gone = { inum: 1, cookie: 0n, paths: ["/proc/0/ns/net"] };
    const results = await visitor.visit([gone, target], { ...wanted, listening }, 20_000);
    const [first, second] = results;
    assert.equal(first?.state, "gone");
    assert.ok(second?.state === "read");
    const { socket = -1 } = second.sight;
    assert.ok(socket > 0);
    assert.match(Deno.readLinkSync(`/proc/self/fd/${socket}`), /^socket:/);
    assert.equal(socketDrops(socket), 0);
    close(socket);
    const refused = { protocol: 0, groups: [9_999], bytes: 65_536 };
    const [third] = await visitor.visit([target], { ...wanted, listening: refused }, 20_000);
    assert.ok(third?.state === "read" && (third.sight.socket ?? 0) < 0);
  } finally {
    visitor.close();
  }
});

Deno.test("visits take turns, and each caller has its own answers in order", async () => {
  const visitor = new NamespaceVisitor();
  try {
    const gone = { inum: 1, cookie: 0n, paths: ["/proc/0/ns/net"] };
    const targets = Array.from({ length: 101 }, (_, index) => index % 3 === 0 ? gone : target);
    const calls = Array.from({ length: 5 }, () => visitor.visit(targets, wanted, 4000));
    for (const results of await Promise.all(calls)) {
      const states = results.map(({ state }) => state);
      assert.deepEqual(states, targets.map((each) => each === gone ? "gone" : "read"));
    }
  } finally {
    visitor.close();
  }
});

/** A Worker that never gets home. */
const LOST = `data:text/javascript,self.onmessage = ({ data: { id } }) => {
  self.postMessage({ id, visits: [], bytes: new Uint8Array(), lost: "Cannot return" });
  self.close();
}`;

Deno.test("a Worker that cannot return is replaced, eight times and no more", async () => {
  setLevel("error");
  const visitor = new NamespaceVisitor(new URL(LOST), new NamespaceTools("no-such-tool"));
  try {
    for (let attempt = 0; attempt < 11; attempt++) {
      const [result] = await visitor.visit([target], wanted, 4000);
      assert.equal(result?.state, "failed");
    }
    assert.equal(visitor.lost, 8);
    assert.deepEqual(visitor.outcome(), {
      state: "failed",
      because: "0 threads hang in network namespaces, and 8 ended there of late: " +
        'tools cannot read in the others: Cannot run "no-such-tool": it is not installed',
    });
  } finally {
    visitor.close();
    setLevel("info");
  }
});

Deno.test("tools read where no Worker is left", async () => {
  setLevel("error");
  const nsenter = Deno.makeTempFileSync();
  const script = '#!/bin/sh\nprintf "==> /proc/self/net/dev <==\\nread by %s" "$3"\n';
  Deno.writeTextFileSync(nsenter, script);
  Deno.chmodSync(nsenter, 0o755);
  const visitor = new NamespaceVisitor(new URL(LOST), new NamespaceTools(nsenter));
  try {
    const order = { files: ["net/dev"], interfaces: false };
    for (let attempt = 0; attempt < 8; attempt++) await visitor.visit([target], order, 4000);
    const [result] = await visitor.visit([target], order, 20_000);
    assert.ok(result?.state === "read");
    assert.deepEqual(result.sight.files, { "net/dev": "read by head" });
    assert.deepEqual(visitor.outcome(), {
      state: "degraded",
      because: "0 threads hang in network namespaces, and 8 ended there of late: " +
        "tools read in the others",
    });
  } finally {
    visitor.close();
    Deno.removeSync(nsenter);
    setLevel("info");
  }
});

Deno.test("a Worker that comes back is used again, and its namespace entered", async () => {
  setLevel("error");
  const visitor = new NamespaceVisitor();
  const fifo = `${Deno.makeTempDirSync()}/fifo`;
  assert.ok(new Deno.Command("mkfifo", { args: [fifo] }).outputSync().success);
  try {
    // Who opens a FIFO waits until another opens it to write.
    const hanging = { ...target, inum: 7, paths: [fifo] };
    await visitor.visit([target], wanted, 20_000);
    for (let round = 0; round < 2; round++) {
      const [result] = await visitor.visit([hanging], wanted, 1_000);
      assert.equal(result?.state, "late");
    }
    assert.deepEqual([visitor.hung, visitor.lost], [1, 1]);
    const outcome = visitor.outcome();
    assert.ok(outcome.state === "degraded");
    const both = await Deno.open(fifo, { read: true, write: true });
    both.close();
    Deno.removeSync(fifo);
    const until = performance.now() + 20_000;
    while (visitor.hung > 0 && performance.now() < until) await sleep(10);
    assert.deepEqual([visitor.hung, visitor.lost], [0, 1]);
    const results = await visitor.visit([hanging, target], wanted, 20_000);
    assert.deepEqual(results.map(({ state }) => state), ["gone", "read"]);
    assert.deepEqual(visitor.outcome(), { state: "working" });
  } finally {
    visitor.close();
    setLevel("info");
  }
});

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A Worker that never answers. */
const SILENT = new URL("data:text/javascript,self.onmessage = () => {}");

Deno.test("a visit that hangs is late, and so is one that had to wait for it", async () => {
  setLevel("error");
  const visitor = new NamespaceVisitor(SILENT);
  try {
    const hanging = visitor.visit([target], wanted, 1500);
    const waiting = visitor.visit([target, target], wanted, 300);
    const first = await Promise.race([hanging, waiting]);
    assert.deepEqual(first.map(({ state }) => state), ["late", "late"]);
    const [result] = await hanging;
    assert.ok(result?.state === "late");
    assert.match(result.because, /no answer in \d+ ms/);
    // Left alone from now on, and still no failure.
    for (const cookie of [0n, 7n]) {
      const [again] = await visitor.visit([{ ...target, cookie }], wanted, 4000);
      assert.ok(again?.state === "late");
      assert.match(again.because, /a thread hung in it/);
    }
    assert.equal(visitor.lost, 1);
  } finally {
    visitor.close();
    setLevel("info");
  }
});

Deno.test("a visit with too little time for an order is late, and costs no Worker", async () => {
  const visitor = new NamespaceVisitor(SILENT);
  const [result] = await visitor.visit([target], wanted, 100);
  assert.equal(result?.state, "late");
  assert.equal(visitor.lost, 0);
  visitor.close();
});

Deno.test("a Worker that dies has failed, and is not late", async () => {
  setLevel("error");
  const dies = 'data:text/javascript,self.onmessage = () => { throw new Error("torn") }';
  const visitor = new NamespaceVisitor(new URL(dies));
  try {
    for (const said of [/died.*torn/, /was lost in it/]) {
      const [result] = await visitor.visit([target], wanted, 4000);
      assert.ok(result?.state === "failed");
      assert.match(result.because, said);
    }
  } finally {
    visitor.close();
    setLevel("info");
  }
});

Deno.test("a visit fails when its visitor is closed in the middle", async () => {
  const visitor = new NamespaceVisitor(SILENT);
  const visit = visitor.visit([target], wanted, 4000);
  await Promise.resolve();
  visitor.close();
  const [result] = await visit;
  assert.equal(result?.state, "failed");
  assert.equal(visitor.lost, 0);
});
