/**
 * The connections that a walk itself opens, in each namespace that it passes: its second packet
 * finds what its first one left.
 *
 * @module
 */
import {
  type Connection,
  newConnection,
  type Packet,
  PROTOCOLS,
  sameTuple,
  TCP_FLAGS,
  tupleOf,
} from "../packet/packet.ts";
import type { Namespace } from "./namespace.ts";
import type { Trail } from "./trail.ts";

/** The packet with what the namespace's conntrack knows of it. */
export function tracked(trail: Trail, namespace: Namespace, packet: Packet): Packet {
  for (const { namespace: key, connection } of trail.connections) {
    if (key !== namespace.key) continue;
    if (sameTuple(connection.reply, packet) && !sameTuple(connection.original, packet)) {
      return { ...packet, connection: { ...connection, state: "established", direction: "reply" } };
    }
    if (!sameTuple(connection.original, packet)) continue;
    return { ...packet, connection: { ...connection, direction: "original" } };
  }
  return { ...packet, connection: fresh(packet) };
}

/** Only what can open a connection makes one: an answer to nothing is invalid. */
function fresh(packet: Packet): Connection {
  const connection = newConnection(tupleOf(packet));
  const flags = packet.tcpFlags ?? 0;
  const answer = packet.protocol === PROTOCOLS.tcp &&
    (flags & TCP_FLAGS.syn) !== 0 && (flags & TCP_FLAGS.ack) !== 0;
  const echoed = packet.icmp !== undefined && [0, 129].includes(packet.icmp.type);
  return answer || echoed ? { ...connection, state: "invalid" } : connection;
}

/** The trail with the packet's connection confirmed, as it is when it leaves the namespace. */
export function confirmed(trail: Trail, namespace: Namespace, packet: Packet): Trail {
  const { connection } = packet;
  if (connection.state === "invalid" || connection.state === "untracked") return trail;
  const rest = trail.connections.filter((each) =>
    each.namespace !== namespace.key || !sameTuple(each.connection.original, connection.original)
  );
  const seen: Connection = connection.direction === "reply"
    ? { ...connection, state: "established" }
    : connection;
  return {
    ...trail,
    connections: [...rest, { namespace: namespace.key, connection: seen }],
  };
}

/** A packet as it is for the next namespace: nobody there knows it, and its mark is gone. */
export function forgotten(packet: Packet, keepsMark: boolean): Packet {
  return {
    ...packet,
    connection: newConnection(tupleOf(packet)),
    mark: keepsMark ? packet.mark : 0,
  };
}
