import { deepEqual, equal, ok } from "node:assert/strict";
import {
  bigEndian,
  conntrackMessage,
  CT_DESTROY,
  CT_NEW,
  CT_UPDATE,
  type Tuple,
} from "../../tests/made_netlink.ts";
import { NetlinkRecords } from "@agent/netlink_record.ts";
import type { EventOf } from "@agent/schema.ts";
import conntrack from "./conntrack.ts";
import event, { isWanted, PROTOCOLS, STATES } from "./event.ts";

const NETNS = { inum: 0xf0000058, cookie: 9n };
const THERE: Tuple = {
  source: "10.0.0.7",
  destination: "10.96.0.10",
  sourcePort: 41_000,
  destinationPort: 53,
};
/** The service's address is that of a pod, another port and all. */
const BACK: Tuple = {
  source: "10.0.1.9",
  destination: "10.0.0.7",
  sourcePort: 5353,
  destinationPort: 41_000,
};
const MIRRORED: Tuple = {
  ...{ source: "10.96.0.10", sourcePort: 53 },
  ...{ destination: "10.0.0.7", destinationPort: 41_000 },
};
const TCP = 6;
const UDP = 17;

function recordOf(message: Uint8Array): EventOf<typeof event.record.fields> {
  const found: EventOf<typeof event.record.fields>[] = [];
  new NetlinkRecords(conntrack).read(message, message.length, NETNS, 77n, ({ record }) => {
    found.push(record as EventOf<typeof event.record.fields>);
  });
  const [first] = found;
  if (first === undefined || found.length > 1) throw new Error(`There are ${found.length}`);
  return first;
}

/** `CTA_PROTOINFO` of TCP. */
function tcpState(state: number) {
  return [4, [[1, [[1, bigEndian(1, state)]]]]] as const;
}

Deno.test("conntrack says who connects, and who answers where addresses are translated", () => {
  const message = conntrackMessage(CT_NEW, TCP, THERE, BACK, [tcpState(1), [3, bigEndian(4, 8)]]);
  deepEqual(event.occurrence(recordOf(message)), {
    type: "ConntrackNew",
    severity: "info",
    at: 77n,
    netns: NETNS,
    source: { address: "10.0.0.7", port: 41_000 },
    destination: { address: "10.96.0.10", port: 53 },
    transport: "tcp",
    attributes: { state: "SYN_SENT" },
    ends: { reply_source: { address: "10.0.1.9", port: 5353 } },
    message: "A connection is tracked from now on",
  });
});

Deno.test("conntrack leaves out the replies' ends that are the others turned around", () => {
  const record = recordOf(conntrackMessage(CT_UPDATE, UDP, THERE, MIRRORED));
  deepEqual(event.occurrence(record).ends, {});
  const masked = { ...MIRRORED, destination: "192.0.2.1", destinationPort: 1_024 };
  const { ends } = event.occurrence(recordOf(conntrackMessage(CT_UPDATE, UDP, THERE, masked)));
  deepEqual(ends, { reply_destination: { address: "192.0.2.1", port: 1_024 } });
});

Deno.test("conntrack reads both families, and what the kernel counted up to the end", () => {
  const six = { ...THERE, source: "fd00:0:0:0:0:0:0:7", destination: "fd00:0:0:0:0:0:0:9" };
  const back = {
    ...{ source: six.destination, destination: six.source },
    ...{ sourcePort: six.destinationPort, destinationPort: six.sourcePort },
  };
  const { type, source, destination, attributes } = event.occurrence(recordOf(
    conntrackMessage(CT_DESTROY, UDP, six, back, [
      [3, bigEndian(4, 0x2 | 0x4)],
      [8, bigEndian(4, 0x4000)],
      [9, [[1, bigEndian(8, 23)], [2, bigEndian(8, 0x1_0000_0007n)]]],
      [10, [[1, bigEndian(8, 19)], [2, bigEndian(8, 1_900)]]],
      [18, bigEndian(2, 3)],
    ]),
  ));
  equal(type, "ConntrackDestroy");
  equal(source?.address, "fd00::7");
  equal(destination?.address, "fd00::9");
  deepEqual(attributes, {
    ...{ state: "ASSURED", mark: 0x4000, zone: 3, packets: 23, bytes: 0x1_0000_0007 },
    ...{ reply_packets: 19, reply_bytes: 1_900 },
  });
});

Deno.test("conntrack tells states without a protocol's own by whether there were replies", () => {
  const stateOf = (status: number) =>
    event.occurrence(recordOf(
      conntrackMessage(CT_UPDATE, UDP, THERE, MIRRORED, [[3, bigEndian(4, status)]]),
    )).attributes?.["state"];
  deepEqual([0, 2, 6].map(stateOf), ["UNREPLIED", "REPLIED", "ASSURED"]);
});

Deno.test("conntrack has the number of a protocol that has no name", () => {
  const { transport, attributes } = event.occurrence(
    recordOf(conntrackMessage(CT_NEW, 89, THERE, MIRRORED)),
  );
  equal(transport, undefined);
  equal(attributes?.["ip_protocol"], 89);
});

Deno.test("conntrack takes what the lists have, and all where they are empty", () => {
  const record = recordOf(conntrackMessage(CT_UPDATE, TCP, THERE, BACK, [tcpState(3)]));
  for (const protocols of ["", " ", "tcp", "udp, tcp"]) ok(isWanted(record, protocols, ""));
  for (const protocols of ["udp", "tc"]) ok(!isWanted(record, protocols, ""));
  ok(isWanted(record, "", "SYN_SENT,ESTABLISHED"));
  ok(!isWanted(record, "", "SYN_SENT,ASSURED"));
  const odd = recordOf(conntrackMessage(CT_UPDATE, 89, THERE, BACK));
  ok(isWanted(odd, "", ""));
  ok(!isWanted(odd, "tcp", ""));
});

Deno.test("conntrack's lists have every protocol and every state that it can tell", () => {
  ok(PROTOCOLS.includes("icmpv6"));
  ok(STATES.includes("TIME_WAIT") && STATES.includes("UNREPLIED") && STATES.includes("OPEN"));
  equal(new Set(STATES).size, STATES.length);
  ok(!STATES.includes(""));
});
