/** What a message about a tracked connection has, and what that says. */
import { type Attribute, type EventOf, type Occurrence, records } from "@agent/probe.ts";
import { address, be16, be32, be64, bootTime, netns, oneOf, struct, u8 } from "@agent/schema.ts";

/** The state of what has none, or whose first packet is not judged yet. */
const NONE = "";

/** `enum tcp_conntrack`, `enum ct_dccp_states` and `enum sctp_conntrack` of the kernel's UAPI. */
const TCP = {
  ...{ 0: NONE, 1: "SYN_SENT", 2: "SYN_RECV", 3: "ESTABLISHED", 4: "FIN_WAIT", 5: "CLOSE_WAIT" },
  ...{ 6: "LAST_ACK", 7: "TIME_WAIT", 8: "CLOSE", 9: "SYN_SENT2" },
} as const;
const DCCP = {
  ...{ 0: NONE, 1: "REQUEST", 2: "RESPOND", 3: "PARTOPEN", 4: "OPEN", 5: "CLOSEREQ" },
  ...{ 6: "CLOSING", 7: "TIME_WAIT" },
} as const;
const SCTP = {
  ...{ 0: NONE, 1: "CLOSED", 2: "COOKIE_WAIT", 3: "COOKIE_ECHOED", 4: "ESTABLISHED" },
  ...{ 5: "SHUTDOWN_SENT", 6: "SHUTDOWN_RECD", 7: "SHUTDOWN_ACK_SENT", 8: "HEARTBEAT_SENT" },
} as const;

const event = struct("conntrack_event", {
  at: bootTime,
  netns,
  source: address,
  destination: address,
  reply_source: address,
  reply_destination: address,
  source_port: be16,
  destination_port: be16,
  reply_source_port: be16,
  reply_destination_port: be16,
  packets: be64,
  bytes: be64,
  reply_packets: be64,
  reply_bytes: be64,
  status: be32,
  mark: be32,
  zone: be16,
  protocol: u8,
  tcp: oneOf(TCP),
  dccp: oneOf(DCCP),
  sctp: oneOf(SCTP),
  kind: oneOf({ 1: "ConntrackNew", 2: "ConntrackUpdate", 3: "ConntrackDestroy" }),
});

type Message = EventOf<typeof event.fields>;

const SAID = {
  ConntrackNew: "A connection is tracked from now on",
  ConntrackUpdate: "A tracked connection has changed",
  ConntrackDestroy: "A connection is tracked no more",
} as const;

/** Protocols by their numbers in IP. */
const TRANSPORTS: ReadonlyMap<number, string> = new Map([
  ...[[1, "icmp"], [6, "tcp"], [17, "udp"], [33, "dccp"], [47, "gre"], [58, "icmpv6"]] as const,
  ...[[132, "sctp"], [136, "udplite"]] as const,
]);
/** `IPS_SEEN_REPLY` and `IPS_ASSURED` of `enum ip_conntrack_status`. */
const SEEN_REPLY = 2;
const ASSURED = 4;

/** Words of the parameter `protocols`. */
export const PROTOCOLS: readonly string[] = [...TRANSPORTS.values()];

/** Words of the parameter `states`. */
export const STATES: readonly string[] = [
  ...new Set([TCP, DCCP, SCTP].flatMap((states) => Object.values<string>(states))),
  ...["UNREPLIED", "REPLIED", "ASSURED"],
].filter((state) => state !== NONE);

/** The state, in the words of `conntrack -L`. */
function stateOf({ tcp, dccp, sctp, status }: Message): string {
  const own = [tcp, dccp, sctp].find((state) => state !== NONE && state !== "unknown");
  if (own !== undefined) return own;
  if (status & ASSURED) return "ASSURED";
  return status & SEEN_REPLY ? "REPLIED" : "UNREPLIED";
}

/** Whether a message is of the protocols and states that the parameters list. */
export function isWanted(message: Message, protocols: unknown, states: unknown): boolean {
  return isListed(protocols, TRANSPORTS.get(message.protocol)) &&
    isListed(states, stateOf(message));
}

function isListed(list: unknown, word: string | undefined): boolean {
  const words = String(list).split(",").map((each) => each.trim());
  return String(list).trim() === "" || (word !== undefined && words.includes(word));
}

/** The ends of the replies that are not simply the others turned around. */
function translated(message: Message) {
  const { source, source_port, destination, destination_port } = message;
  const { reply_source, reply_source_port, reply_destination, reply_destination_port } = message;
  const isSame = (one: string, port: number, other: string, otherPort: number) =>
    one === other && port === otherPort;
  return {
    ...(isSame(destination, destination_port, reply_source, reply_source_port)
      ? {}
      : { reply_source: { address: reply_source, port: reply_source_port } }),
    ...(isSame(source, source_port, reply_destination, reply_destination_port)
      ? {}
      : { reply_destination: { address: reply_destination, port: reply_destination_port } }),
  };
}

function occurrence(message: Message): Occurrence {
  const { protocol, mark, zone, packets, bytes, reply_packets, reply_bytes } = message;
  const type = message.kind === "unknown" ? "ConntrackUpdate" : message.kind;
  const transport = TRANSPORTS.get(protocol);
  const attributes: Record<string, Attribute> = { state: stateOf(message) };
  if (transport === undefined) attributes["ip_protocol"] = protocol;
  if (mark !== 0) attributes["mark"] = mark;
  if (zone !== 0) attributes["zone"] = zone;
  // Only where the kernel counts them (nf_conntrack_acct), and only at the end.
  if (packets + reply_packets !== 0) {
    Object.assign(attributes, { packets, bytes, reply_packets, reply_bytes });
  }
  return {
    type,
    severity: "info",
    at: message.at,
    netns: message.netns,
    source: { address: message.source, port: message.source_port },
    destination: { address: message.destination, port: message.destination_port },
    ...(transport === undefined ? {} : { transport }),
    attributes,
    ends: translated(message),
    message: SAID[type],
  };
}

export default records({
  record: event,
  types: ["ConntrackNew", "ConntrackUpdate", "ConntrackDestroy"],
  occurrence,
});
