import { deepEqual, equal, ok } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";
import packetloss from "./packetloss.ts";
import * as reasons from "./reasons.ts";
import { drops } from "./totals.ts";

const ENUMS = {
  skb_drop_reason: {
    3: "SKB_DROP_REASON_NO_SOCKET",
    12: "SKB_DROP_REASON_NETFILTER_DROP",
    13: "SKB_DROP_REASON_OTHERHOST",
  },
};

/** A SYN to a closed port, as the kernel side reports it. */
const SYN = {
  at: 5_000_000_000n,
  location: 0xffffffff81000010n,
  netns: Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  source: addressBytes("10.0.0.1"),
  destination: addressBytes("10.0.0.2"),
  reason: 3,
  length: 60,
  ifindex: 2,
  source_port: 41000,
  destination_port: 443,
  interface: "eth0",
  family: 1,
  protocol: 6,
  ip_protocol: 6,
  class: 1,
  tcp_flags: 0x02,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("packetloss", event.record, values, ENUMS));
}

Deno.test("packetloss says whose packet it was, from where to where, and why", async () => {
  deepEqual(await occurrenceOf(SYN), {
    type: "PACKETLOSS",
    severity: "warning",
    at: 5_000_000_000n,
    netns: { inum: 0xf0000058, cookie: 7n },
    source: { address: "10.0.0.1", port: 41000 },
    destination: { address: "10.0.0.2", port: 443 },
    transport: "tcp",
    ifindex: 2,
    interface: "eth0",
    attributes: { reason: "NO_SOCKET", class: "abnormal", length_bytes: 60, tcp_flags: "SYN" },
    stack: [],
    location: 0xffffffff81000010n,
    message: "The kernel dropped a packet: NO_SOCKET",
  });
});

Deno.test("packetloss tells what a rule dropped from what was lost", async () => {
  const { severity, message, attributes } = await occurrenceOf({ ...SYN, reason: 12, class: 2 });
  equal(severity, "info");
  equal(message, "A rule dropped a packet: NETFILTER_DROP");
  equal(attributes?.["class"], "policy");
});

Deno.test("packetloss has the kernel side's own reason where the kernel gives none", async () => {
  const { attributes } = await occurrenceOf({ ...SYN, reason: 0xffff0002, class: 2 });
  equal(attributes?.["reason"], "NETFILTER_DROP");
  equal((await occurrenceOf({ ...SYN, reason: 99 })).attributes?.["reason"], "UNKNOWN");
});

Deno.test("packetloss shows an ICMPv6 packet by its type and code, without ports", async () => {
  const { source, destination, transport, attributes } = await occurrenceOf({
    ...SYN,
    source: addressBytes("fe80:0:0:0:0:0:0:1"),
    destination: addressBytes("ff02:0:0:0:0:0:0:2"),
    source_port: 0,
    destination_port: 0,
    family: 2,
    protocol: 58,
    ip_protocol: 58,
    tcp_flags: 0,
    icmp_type: 133,
  });
  deepEqual([source, destination], [{ address: "fe80::1", port: 0 }, {
    address: "ff02::2",
    port: 0,
  }]);
  equal(transport, "icmpv6");
  equal(attributes?.["icmp_type"], 133);
  equal(attributes?.["icmp_code"], 0);
});

Deno.test("packetloss has no addresses for a packet that is not IP", async () => {
  const arp = { at: 1n, family: 3, protocol: 255, class: 1, reason: 13, length: 28 };
  const occurrence = await occurrenceOf(arp);
  ok(!("source" in occurrence) && !("destination" in occurrence) && !("transport" in occurrence));
  equal(occurrence.attributes?.["family"], "arp");
});

Deno.test("packetloss marks a fragment, and numbers a protocol that it does not name", async () => {
  const { attributes } = await occurrenceOf({
    ...SYN,
    protocol: 255,
    ip_protocol: 47,
    is_fragment: 1,
  });
  equal(attributes?.["fragment"], true);
  equal(attributes?.["ip_protocol"], 47);
});

Deno.test("packetloss begins the stack where the packet was dropped", async () => {
  const frames = [1n, 2n, SYN.location, 4n, 5n];
  deepEqual((await occurrenceOf({ ...SYN, stack: frames })).stack, [SYN.location, 4n, 5n]);
  deepEqual((await occurrenceOf({ ...SYN, stack: [1n, 2n] })).stack, [1n, 2n]);
});

Deno.test("packetloss counts what its key says", async () => {
  const made = { reason: 12, protocol: 132, family: 2, class: 2 };
  const key = await decodeMade("packetloss", drops.key, made, ENUMS);
  equal(
    `${key.reason} ${key.protocol} ${key.family} ${key.class}`,
    "NETFILTER_DROP sctp ipv6 policy",
  );
  const value = await decodeMade("packetloss", drops.value, { packets: 23, bytes: 2n ** 40n });
  deepEqual({ ...value }, { packets: 23, bytes: 2 ** 40 });
});

Deno.test("packetloss has each reason in one list at most", () => {
  const lists = [reasons.NORMAL, reasons.EXPECTED, reasons.POLICY];
  const words = lists.flatMap((list): readonly string[] => list);
  equal(new Set(words).size, words.length);
  equal(Object.keys(packetloss.bitmaps).length, Object.keys(reasons).length);
});
