import assert from "node:assert/strict";
import { AROUND, packetOf } from "../../tests/made_rules.ts";
import type { Hook } from "./netfilter.ts";
import { packetType } from "./packet_type.ts";

Deno.test("packetType is the frame's where it comes in, and a host's where it goes out", () => {
  const around = { ...AROUND, addressType: () => "broadcast" };
  const of = (hook: Hook, destination: string) =>
    packetType({ packet: packetOf("10.0.0.2", destination, 80), around, hook });
  assert.equal(of("prerouting", "239.0.0.1"), "multicast");
  assert.equal(of("input", "10.0.0.255"), "broadcast");
  for (const hook of ["forward", "output", "postrouting"] as const) {
    assert.equal(of(hook, "239.0.0.1"), "unicast", hook);
    assert.equal(of(hook, "10.0.0.255"), "unicast", hook);
  }
  assert.equal(
    packetType({ packet: packetOf("10.0.0.2", "10.0.0.3", 1), around: AROUND, hook: "input" }),
    "unicast",
  );
});
