import assert from "node:assert/strict";
import { checksum, echoRequest, isEchoReply } from "./echo.ts";

Deno.test("an echo request has its identifier, and a checksum over IPv4", () => {
  const four = echoRequest(4, 0x1234);
  assert.deepEqual([...four.subarray(4, 8)], [0x12, 0x34, 0, 1]);
  assert.equal(four[0], 8);
  // The sum over what has its checksum is nothing, RFC 1071.
  assert.equal(checksum(four), 0);
  const six = echoRequest(6, 0xff01);
  assert.deepEqual([...six.subarray(0, 6)], [128, 0, 0, 0, 0xff, 1]);
});

Deno.test("the example of RFC 1071 sums up as it says there", () => {
  const example = Uint8Array.from([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
  assert.equal(checksum(example), ~0xddf2 & 0xffff);
});

Deno.test("a reply is told from a stranger's, a request and what is cut short", () => {
  const header = new Uint8Array(24).fill(0x46, 0, 1);
  const reply = Uint8Array.from([...header, 0, 0, 0, 0, 0x12, 0x34, 0, 1]);
  assert.equal(isEchoReply(reply, 4, 0x1234), true);
  assert.equal(isEchoReply(reply, 4, 0x1235), false);
  assert.equal(isEchoReply(reply.subarray(0, 31), 4, 0x1234), false);
  assert.equal(isEchoReply(new Uint8Array(0), 4, 0), false);
  const six = Uint8Array.from([129, 0, 0, 0, 0xff, 1, 0, 1]);
  assert.equal(isEchoReply(six, 6, 0xff01), true);
  assert.equal(isEchoReply(echoRequest(6, 0xff01), 6, 0xff01), false);
});
