import assert from "node:assert/strict";
import { hasAddress, isLoopback, NodeIndex } from "./node_index.ts";
import type { KnownNamespace } from "./view.ts";

function namespace(inum: number, since: number, ...addresses: readonly string[]): KnownNamespace {
  return {
    ...{ inum, since, cookie: 0n, host: false, path: "", pids: [], mounts: [], seenAt: 0 },
    podUid: "uid",
    containerIds: [],
    interfaces: [
      { index: 1, name: "lo", loopback: true, addresses: ["10.0.0.99"] },
      { index: 2, name: "eth0", loopback: false, addresses },
    ],
  };
}

Deno.test("the index takes the namespace of the oldest process for the pod's own", () => {
  const [young, old] = [namespace(1, 20), namespace(2, 10)];
  const index = new NodeIndex([young, old]);
  assert.deepEqual([index.isMain(young), index.isMain(old)], [false, true]);
  assert.equal(index.isMain({ ...young, goneAt: 5 }), true);
  assert.equal(new NodeIndex([]).isMain(young), true);
});

Deno.test("the index knows the one owner of an address, and leaves out loopback devices", () => {
  const a = namespace(1, 1, "10.0.0.1", "10.0.0.1", "10.0.0.3", "fe80::1");
  const b = namespace(2, 2, "10.0.0.2", "10.0.0.3");
  const c = namespace(3, 3, "10.0.0.3");
  const index = new NodeIndex([a, b, c]);
  assert.equal(index.owner("10.0.0.1"), a);
  assert.equal(index.owner("10.0.0.2"), b);
  for (const address of ["10.0.0.3", "10.0.0.99", "fe80::1", "10.0.0.4"]) {
    assert.equal(index.owner(address), undefined);
  }
  assert.equal(hasAddress(a, "10.0.0.99"), true);
  assert.deepEqual(["127.9.9.9", "::1", "128.0.0.1"].map(isLoopback), [true, true, false]);
});
