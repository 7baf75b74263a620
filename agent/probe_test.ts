import { deepEqual } from "node:assert/strict";
import { endsOf, milliseconds } from "./probe.ts";

const PACKET = {
  has_header: 1,
  source: "10.0.0.1",
  destination: "10.0.0.2",
  source_port: 40_000,
  destination_port: 53,
  protocol: "udp",
};

Deno.test("milliseconds have microseconds, and no more", () => {
  deepEqual([0, 499, 500, 37_456_789].map(milliseconds), [0, 0, 0.001, 37.457]);
});

Deno.test("a packet has both its ends and its transport", () => {
  deepEqual(endsOf(PACKET), {
    source: { address: "10.0.0.1", port: 40_000 },
    destination: { address: "10.0.0.2", port: 53 },
    transport: "udp",
  });
});

Deno.test("a packet has no ends without a header, and no transport that is not known", () => {
  deepEqual(endsOf({ ...PACKET, has_header: 0 }), {});
  deepEqual(Object.keys(endsOf({ ...PACKET, protocol: "unknown" })), ["source", "destination"]);
});
