import { deepEqual } from "node:assert/strict";
import { TCP_STATES } from "@agent/tcp.ts";
import { decodeMade } from "../../tests/made_records.ts";
import tcpsummary from "./tcpsummary.ts";

const [sockets] = tcpsummary.totals;
const { metrics } = sockets;

Deno.test("tcpsummary keys its figures by the socket's namespace and state", async () => {
  const netns = Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0);
  const key = await decodeMade("tcpsummary", sockets.key, { netns, state: 8 });
  deepEqual({ ...key }, { netns: { inum: 0xf0000058, cookie: 3n }, state: "close_wait" });
});

Deno.test("tcpsummary reads queues and backlogs apart", async () => {
  const made = { connections: 2, receive_queue: 3, send_queue: 5, backlog: 7, backlog_limit: 4096 };
  deepEqual({ ...await decodeMade("tcpsummary", sockets.value, made) }, made);
});

Deno.test("tcpsummary counts a socket that listens as a listener, never as a connection", () => {
  const connected = metrics["tcpsummary_connections"]?.when?.state ?? [];
  const listening = metrics["tcpsummary_listeners"]?.when?.state ?? [];
  // TIME_WAIT has no descriptor, and NEW_SYN_RECV is no socket.
  const all = [...connected, ...listening, "time_wait", "new_syn_recv"];
  deepEqual(all.sort(), Object.values(TCP_STATES).sort());
  deepEqual(listening, ["listen"]);
});

Deno.test("tcpsummary has each of the predecessor's states from the one of ours", () => {
  const aliases = [metrics["tcpsummary_connections"]?.alias ?? []].flat();
  const names = aliases.map(({ kubeskoop, where }) => [kubeskoop, where?.["state"]].join(" "));
  deepEqual(names, [
    "tcpsummary_tcpestablishedconn established",
    "tcpsummary_tcpclosewaitconn close_wait",
    "tcpsummary_tcpsynsentconn syn_sent",
    "tcpsummary_tcpsynrecvconn syn_recv",
  ]);
});
