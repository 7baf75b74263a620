/**
 * Where ctnetlink's messages have what: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
 *
 * @module
 */
import type { NetlinkKind } from "@agent/probe.ts";

/** NFNL_SUBSYS_CTNETLINK in the upper byte. */
const IPCTNL_MSG_CT_NEW = 0x100;
const IPCTNL_MSG_CT_DELETE = 0x102;
const NLM_F_CREATE = 0x400;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_PROTOINFO = 4;
const CTA_MARK = 8;
const CTA_COUNTERS_ORIG = 9;
const CTA_COUNTERS_REPLY = 10;
const CTA_ZONE = 18;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const CTA_PROTOINFO_TCP = 1;
const CTA_PROTOINFO_DCCP = 2;
const CTA_PROTOINFO_SCTP = 3;
/** The first attribute of each of them. */
const STATE = 1;
const CTA_COUNTERS_PACKETS = 1;
const CTA_COUNTERS_BYTES = 2;

/** A new connection's message is one of an update with more flags. */
export const KINDS: readonly NetlinkKind[] = [
  { number: 1, type: IPCTNL_MSG_CT_NEW, flags: NLM_F_CREATE, group: 1, wanted: "new" },
  { number: 2, type: IPCTNL_MSG_CT_NEW, flags: 0, group: 2, wanted: "update" },
  { number: 3, type: IPCTNL_MSG_CT_DELETE, flags: 0, group: 3, wanted: "destroy" },
];

const SOURCE = [[CTA_TUPLE_IP, CTA_IP_V4_SRC], [CTA_TUPLE_IP, CTA_IP_V6_SRC]];
const DESTINATION = [[CTA_TUPLE_IP, CTA_IP_V4_DST], [CTA_TUPLE_IP, CTA_IP_V6_DST]];
const SOURCE_PORT = [[CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT]];
const DESTINATION_PORT = [[CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT]];

function within(tuple: number, paths: readonly (readonly number[])[]) {
  return paths.map((path) => [tuple, ...path]);
}

/** The attributes of each field of `event.ts`. */
export const PATHS = {
  source: within(CTA_TUPLE_ORIG, SOURCE),
  destination: within(CTA_TUPLE_ORIG, DESTINATION),
  source_port: within(CTA_TUPLE_ORIG, SOURCE_PORT),
  destination_port: within(CTA_TUPLE_ORIG, DESTINATION_PORT),
  protocol: [[CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_NUM]],
  reply_source: within(CTA_TUPLE_REPLY, SOURCE),
  reply_destination: within(CTA_TUPLE_REPLY, DESTINATION),
  reply_source_port: within(CTA_TUPLE_REPLY, SOURCE_PORT),
  reply_destination_port: within(CTA_TUPLE_REPLY, DESTINATION_PORT),
  tcp: [[CTA_PROTOINFO, CTA_PROTOINFO_TCP, STATE]],
  dccp: [[CTA_PROTOINFO, CTA_PROTOINFO_DCCP, STATE]],
  sctp: [[CTA_PROTOINFO, CTA_PROTOINFO_SCTP, STATE]],
  status: [[CTA_STATUS]],
  mark: [[CTA_MARK]],
  zone: [[CTA_ZONE]],
  packets: [[CTA_COUNTERS_ORIG, CTA_COUNTERS_PACKETS]],
  bytes: [[CTA_COUNTERS_ORIG, CTA_COUNTERS_BYTES]],
  reply_packets: [[CTA_COUNTERS_REPLY, CTA_COUNTERS_PACKETS]],
  reply_bytes: [[CTA_COUNTERS_REPLY, CTA_COUNTERS_BYTES]],
} as const;
