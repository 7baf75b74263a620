import assert from "node:assert/strict";
import { parseAddress } from "./address.ts";
import { firstPacket, inverse, samePacket, sameTuple, tupleOf } from "./packet.ts";

const source = parseAddress("10.0.0.1") ?? assert.fail();
const destination = parseAddress("10.0.0.2") ?? assert.fail();

Deno.test("firstPacket is a SYN, and its connection expects the mirrored answer", () => {
  const packet = firstPacket({
    ...{ source, destination, protocol: 6, sourcePort: 40_000, destinationPort: 80 },
  });
  assert.equal(packet.tcpFlags, 2);
  assert.equal(packet.length, 60);
  assert.equal(packet.connection.state, "new");
  assert.deepEqual(packet.connection.reply, {
    source: destination,
    destination: source,
    protocol: 6,
    sourcePort: 80,
    destinationPort: 40_000,
  });
  assert.ok(sameTuple(tupleOf(packet), packet.connection.original));
  assert.ok(!sameTuple(packet, packet.connection.reply));
});

Deno.test("a packet without ports has a tuple without ports", () => {
  const packet = firstPacket({ source, destination, protocol: 1, icmp: { type: 8, code: 0 } });
  assert.deepEqual(inverse(packet), { source: destination, destination: source, protocol: 1 });
  assert.equal(packet.tcpFlags, undefined);
});

Deno.test("samePacket sees a difference in depth, and none in the order of fields", () => {
  const packet = firstPacket({ source, destination, protocol: 17, destinationPort: 53 });
  const { mark, ...rest } = packet;
  assert.ok(samePacket(packet, { ...rest, mark }));
  assert.ok(!samePacket(packet, { ...packet, mark: 1 }));
  const connection = { ...packet.connection, mark: 1 };
  assert.ok(!samePacket(packet, { ...packet, connection }));
});
