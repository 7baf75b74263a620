import assert from "node:assert/strict";
import { packetOf } from "../../tests/made_rules.ts";
import { forgotten } from "./tracking.ts";

Deno.test("forgotten keeps a packet's sender and mark within its namespace alone", () => {
  const packet = packetOf("10.0.0.2", "10.0.1.3", 80, { uid: 33, gid: 5, mark: 7 });
  const [near, far] = [forgotten(packet, true), forgotten(packet, false)];
  assert.deepEqual([near.uid, near.gid, near.mark], [33, 5, 7]);
  assert.deepEqual([far.uid, far.gid, far.mark], [undefined, undefined, 0]);
  assert.ok(!("uid" in far) && !("gid" in far));
});
