/**
 * The connections that a walk itself opens, in each namespace that it passes: its second packet
 * finds what its first one left.
 *
 * @module
 */
import {
  type Connection,
  newConnection,
  openedBy,
  type Packet,
  sameTuple,
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
  return { ...packet, connection: openedBy(packet) };
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

/**
 * A packet as it is for the next namespace: nobody there knows it, its mark is gone, and so is the
 * socket that sent it.
 */
export function forgotten(packet: Packet, keepsMark: boolean): Packet {
  const { scheduled: _, uid, gid, ...plain } = packet;
  const sender = keepsMark
    ? { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) }
    : {};
  return {
    ...{ ...plain, ...sender },
    connection: newConnection(tupleOf(packet)),
    mark: keepsMark ? packet.mark : 0,
  };
}
