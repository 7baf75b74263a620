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
  receive,
  send,
  type SocketEnd,
  socketState,
} from "../../agent/namespaces/libc.ts";
import { type Address, widthOf } from "../packet/address.ts";
import { EnterError, openPlace, type OwnPlace } from "../snapshot/place.ts";
import type { Diagnosis, Question, Verification } from "../walk/diagnosis.ts";
import type { Namespace } from "../walk/namespace.ts";
import { Counters } from "./counters.ts";
import { echoRequest, isEchoReply } from "./echo.ts";

/** Long enough for a neighbour to be asked, and for one retransmission. */
const WAIT_MILLISECONDS = 2_500;
const LOOK_MILLISECONDS = 10;
/** Namespaces of the way whose counters are looked at. */
const NAMESPACES_MAX = 16;

/** Sends the first packet of what was asked, and waits for what comes back. */
export async function verify(
  diagnosis: Diagnosis,
  millisecondsMax: number = WAIT_MILLISECONDS,
): Promise<Verification> {
  const { question, sender } = diagnosis;
  if (sender === undefined) return unsent("the sender's namespace is not known");
  using places = new Places(diagnosis);
  const counters = new Counters(diagnosis, places.open);
  await counters.begin();
  const outcome = await sent(sender, question, millisecondsMax);
  if (outcome.startsWith("Cannot")) return unsent(outcome);
  const seen = await counters.end();
  return { ...judged(diagnosis, outcome, millisecondsMax), ...(seen.length === 0 ? {} : { seen }) };
}

function unsent(because: string): Verification {
  return { outcome: "not sent", text: `no packet was sent: ${because}` };
}

/** The namespaces that the ways lead through, as far as they can be entered. */
class Places implements Disposable {
  readonly open = new Map<Namespace, OwnPlace>();

  constructor({ ways }: Diagnosis) {
    const ends = ways.flatMap(({ request, answers }) => [request, ...answers]);
    const passed = new Set(ends.flatMap(({ namespace, trail: { steps } }) => [
      ...steps.map((step) => step.namespace),
      namespace,
    ]));
    for (const namespace of [...passed].slice(0, NAMESPACES_MAX)) {
      try {
        this.open.set(namespace, placeOf(namespace));
      } catch (error) {
        // It is of another node, or gone: then it counts nothing for us.
        if (!(error instanceof EnterError)) throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    for (const place of this.open.values()) place.close();
  }
}

function placeOf({ snapshot: { host, owner, pids, netns } }: Namespace): OwnPlace {
  const path = host
    ? "/proc/1/ns/net"
    : owner.kind === "netns"
    ? `/run/netns/${owner.name}`
    : `/proc/${pids[0] ?? 0}/ns/net`;
  return openPlace(netns, path);
}

async function sent(
  sender: Namespace,
  { source, destination, protocol, port = 0, sourcePort = 0, mark = 0 }: Question,
  millisecondsMax: number,
): Promise<string> {
  let descriptor: number;
  try {
    const place = placeOf(sender);
    try {
      const isEcho = protocol === "icmp";
      const [from, to] = [
        end(source, isEcho ? 0 : sourcePort),
        end(destination, isEcho ? 0 : port),
      ];
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
    const id = protocol === "icmp" ? crypto.getRandomValues(new Uint16Array(1))[0] ?? 1 : 0;
    const message = protocol === "icmp" ? echoRequest(source.family, id) : new Uint8Array(1);
    // What the sender's own rules drop is an error of the call.
    const went = protocol === "tcp" ? 0 : send(descriptor, message);
    if (went < 0) return errorName(went);
    const until = performance.now() + millisecondsMax;
    const isReply = (bytes: Uint8Array) => isEchoReply(bytes, source.family, id);
    return await settled(descriptor, protocol, isReply, until);
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

async function settled(
  descriptor: number,
  protocol: Question["protocol"],
  isReply: (message: Uint8Array) => boolean,
  until: number,
): Promise<string> {
  const message = new Uint8Array(256);
  while (performance.now() < until) {
    const state = socketState(descriptor);
    if (typeof state === "number") return errorName(state);
    if (state === "writable" && protocol === "tcp") return "answered";
    if (state === "readable") {
      if (protocol !== "icmp") return "answered";
      // All of the far end's ICMP comes here, whoever asked for it.
      const length = receive(descriptor, message);
      if (length > 0 && isReply(message.subarray(0, length))) return "answered";
      continue;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
  return "silence";
}

const PACKETS: Readonly<Record<Question["protocol"], string>> = {
  tcp: "a real SYN",
  udp: "a real datagram",
  icmp: "a real echo request",
};

function judged(diagnosis: Diagnosis, outcome: string, waited: number): Verification {
  const { verdict, question: { protocol } } = diagnosis;
  const became = outcome === "answered"
    ? "was answered"
    : outcome === "silence"
    ? `was not answered within ${waited / 1_000} s`
    : `ended with ${outcome}`;
  const text = `${PACKETS[protocol]} ${became}`;
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
