/**
 * Sends one real packet of a diagnosis from the sender's namespace, and holds what comes of it
 * against what the walk said.
 *
 * @module
 */
import {
  close,
  errorName,
  openConnecting,
  send,
  type SocketEnd,
  socketState,
} from "../../agent/namespaces/libc.ts";
import { type Address, widthOf } from "../packet/address.ts";
import { EnterError, openPlace } from "../snapshot/place.ts";
import type { Diagnosis, Question, Verification } from "../walk/diagnosis.ts";
import type { Namespace } from "../walk/namespace.ts";

/** Long enough for a neighbour to be asked, and for one retransmission. */
const WAIT_MILLISECONDS = 2_500;
const LOOK_MILLISECONDS = 10;

/** Sends the first packet of what was asked, and waits for what comes back. */
export async function verify(diagnosis: Diagnosis): Promise<Verification> {
  const { question, sender } = diagnosis;
  const { protocol } = question;
  if (sender === undefined) return unsent("the sender's namespace is not known");
  if (protocol === "icmp") return unsent("only TCP and UDP are sent");
  const outcome = await sent(sender, protocol, question);
  if (outcome.startsWith("Cannot")) return unsent(outcome);
  return judged(diagnosis, outcome);
}

function unsent(because: string): Verification {
  return { outcome: "not sent", text: `no packet was sent: ${because}` };
}

async function sent(
  sender: Namespace,
  protocol: "tcp" | "udp",
  { source, destination, port = 0, sourcePort = 0, mark = 0 }: Question,
): Promise<string> {
  const { host, owner, pids, netns } = sender.snapshot;
  const path = host
    ? "/proc/1/ns/net"
    : owner.kind === "netns"
    ? `/run/netns/${owner.name}`
    : `/proc/${pids[0] ?? 0}/ns/net`;
  let descriptor: number;
  try {
    const place = openPlace(netns, path);
    try {
      const [from, to] = [end(source, sourcePort), end(destination, port)];
      descriptor = place.inside(() => openConnecting(protocol, from, to, mark));
    } finally {
      place.close();
    }
  } catch (error) {
    if (error instanceof EnterError) return error.message;
    throw error;
  }
  if (descriptor < 0) return errorName(descriptor);
  try {
    if (protocol === "udp") send(descriptor, new Uint8Array(1));
    return await settled(descriptor, protocol);
  } finally {
    close(descriptor);
  }
}

/** An address as the bytes of `struct sockaddr`. */
function end({ family, bits }: Address, port: number): SocketEnd {
  const address = new Uint8Array(widthOf(family) / 8);
  for (const at of address.keys()) {
    address[at] = Number(bits >> BigInt(8 * (address.length - 1 - at)) & 0xffn);
  }
  return { address, port };
}

async function settled(descriptor: number, protocol: "tcp" | "udp"): Promise<string> {
  const until = performance.now() + WAIT_MILLISECONDS;
  while (performance.now() < until) {
    const state = socketState(descriptor);
    if (typeof state === "number") return errorName(state);
    if (state === "readable" || state === "writable" && protocol === "tcp") return "answered";
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
  return "silence";
}

function judged(diagnosis: Diagnosis, outcome: string): Verification {
  const { verdict, question: { protocol } } = diagnosis;
  const packet = protocol === "tcp" ? "a real SYN" : "a real datagram";
  const became = outcome === "answered"
    ? "was answered"
    : outcome === "silence"
    ? `was not answered within ${WAIT_MILLISECONDS / 1_000} s`
    : `ended with ${outcome}`;
  const text = `${packet} ${became}`;
  if (verdict === "unknown") return { outcome, text };
  // Who listens for datagrams need not answer them.
  if (protocol === "udp" && outcome === "silence" && verdict === "reachable") {
    return { outcome, text: `${text}, which proves nothing` };
  }
  const mixed = diagnosis.ways.some(({ request, answers }) =>
    request.verdict === "delivered" && answers.every((answer) => answer.verdict === "delivered")
  );
  const agrees = outcome === "answered" ? verdict === "reachable" || mixed : verdict === "blocked";
  const words = agrees ? ", as the walk says" : ", and the walk says otherwise";
  return { outcome, agrees, text: `${text}${words}` };
}
