import { deepEqual, equal, throws } from "node:assert/strict";
import { bigEndian, netlinkMessage } from "../tests/made_netlink.ts";
import { NetlinkRecords, recordLayout } from "./netlink_record.ts";
import { defineProbe } from "./probe.ts";
import { address, be16, be32, be64, bootTime, netns, oneOf, struct, u32, u8 } from "./schema.ts";

const card = defineProbe({
  name: "heard",
  summary: "Heard",
  byDefault: { metrics: false, events: false },
  netlink: {
    protocol: 0,
    there: "/proc/self",
    headerBytes: 8,
    kinds: [
      { number: 1, type: 20, flags: 0x400, group: 1, wanted: "first" },
      { number: 2, type: 20, flags: 0, group: 2, wanted: "second" },
    ],
    paths: {
      end: [[1, 1], [1, 2]],
      port: [[2]],
      mark: [[3]],
      bytes: [[4, 9, 5]],
      state: [[5]],
    },
  },
  records: {
    record: struct("heard_event", {
      ...{ at: bootTime, netns, end: address, port: be16, mark: be32, bytes: be64, state: u8 },
      kind: oneOf({ 1: "first", 2: "second" }),
    }),
    types: ["HEARD"],
    occurrence: () => ({ type: "HEARD", severity: "info", at: 0n, netns: FROM, message: "Heard" }),
  },
  wanted: () => true,
});
const FROM = { inum: 7, cookie: 5n };

function read(bytes: Uint8Array, length = bytes.length): Readonly<Record<string, unknown>>[] {
  const records: Readonly<Record<string, unknown>>[] = [];
  new NetlinkRecords(card).read(bytes, length, FROM, 3n, ({ record }) => records.push(record));
  return records;
}

const FULL = netlinkMessage(20, 0x600, 8, [
  [1, [[1, bigEndian(4, 0x0a000007)]]],
  [2, bigEndian(2, 443)],
  [3, bigEndian(4, 0x80000001)],
  [4, [[9, [[4, bigEndian(8, 1)], [5, bigEndian(8, 23)]]]]],
  [5, bigEndian(1, 6)],
  [99, bigEndian(4, 1)],
]);

Deno.test("a message becomes a record by the paths of its attributes", () => {
  deepEqual(read(FULL), [{
    ...{ at: 3n, netns: FROM, end: "10.0.0.7", port: 443, mark: 0x80000001, bytes: 23, state: 6 },
    kind: "first",
  }]);
});

Deno.test("what a message lacks is zero, whatever the one before had", () => {
  const six = bigEndian(16, 0xfd000000_00000000_00000000_00000009n);
  const both = Uint8Array.of(...FULL, ...netlinkMessage(20, 0, 8, [[1, [[2, six]]]]));
  deepEqual(read(both)[1], {
    ...{ at: 3n, netns: FROM, end: "fd00::9", port: 0, mark: 0, bytes: 0, state: 0 },
    kind: "second",
  });
});

Deno.test("messages of other types, and attributes of other sizes, are passed over", () => {
  equal(read(netlinkMessage(21, 0x600, 8, [])).length, 0);
  const [record] = read(netlinkMessage(20, 0, 8, [[2, bigEndian(4, 443)]]));
  equal(record?.["port"], 0);
});

Deno.test("a message that is cut short, or lies about its size, is not read further", () => {
  for (let length = 0; length < FULL.length; length++) equal(read(FULL, length).length, 0);
  const lies = FULL.slice();
  for (let at = 16; at < lies.length; at++) {
    const bytes = FULL.slice();
    bytes[at] = 0xff;
    equal(read(bytes).length, 1);
  }
  lies.fill(0, 0, 4);
  equal(read(lies).length, 0);
});

Deno.test("a record's fields lie one after the other, each of its type's size", () => {
  const { size, members } = recordLayout(card.records.record);
  equal(size, 8 + 16 + 16 + 2 + 4 + 8 + 1 + 1);
  equal(members.get("bytes")?.offset, 46);
  throws(() => recordLayout(struct("odd_event", { odd: u32 })), /odd_event.odd: no netlink record/);
});

Deno.test("a path that leads to no field is a mistake", () => {
  const netlink = { ...card.netlink, paths: { nothing: [[1]] } };
  throws(() => new NetlinkRecords({ ...card, netlink }), /heard_event.nothing: it has no such/);
});
