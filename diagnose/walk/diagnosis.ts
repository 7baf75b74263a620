/**
 * A diagnosis: the request's walk, the answer's, and what they say together.
 *
 * @module
 */
import { type Address, type Family, formatAddress, sameAddress } from "../packet/address.ts";
import { firstPacket, type Packet, PROTOCOLS, TCP_FLAGS } from "../packet/packet.ts";
import type { Lookup, Resolution } from "../kube/dns.ts";
import type { Opinion } from "../kube/kube.ts";
import type { Snapshot } from "../snapshot/format.ts";
import { beyondKernel } from "./dataplane.ts";
import { isLocal, isLoopback } from "./lookup.ts";
import type { Namespace } from "./namespace.ts";
import { Network } from "./network.ts";
import { listenerFor } from "./socket.ts";
import { after, type Cause, type End, ended, START, stepped, sysctl, type Trail } from "./trail.ts";
import { type Sending, Walker } from "./walker.ts";
import { settingName } from "./command.ts";

/** What is asked. */
export interface Question {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly port?: number;
  readonly sourcePort?: number;
  readonly mark?: number;
  readonly uid?: number;
  /** Which namespace sends, where several have the source's address; by its label or name. */
  readonly from?: string;
  /** What the destination's name led to; where that is nothing, the destination is a nameserver. */
  readonly lookup?: Lookup;
}

/** One way of the request, and the ways of its answer. */
export interface Way {
  readonly request: End;
  readonly answers: readonly End[];
}

/** What came of a real packet. */
export interface Verification {
  /** `answered`, `silence`, an errno such as `ECONNREFUSED`; or `not sent`. */
  readonly outcome: string;
  /** Whether that is what the walk said; absent where it said nothing, or nothing was sent. */
  readonly agrees?: boolean;
  readonly text: string;
  /**
   * What the kernel counted meanwhile, and the agent's probes saw, where the packet may have been.
   */
  readonly seen?: readonly {
    readonly by: "counter" | "event";
    readonly where: string;
    readonly text: string;
  }[];
}

/** What came of it. */
export interface Diagnosis {
  readonly question: Question;
  readonly verdict: "reachable" | "blocked" | "unknown";
  readonly sender?: Namespace;
  readonly ways: readonly Way[];
  /** Full-sized packets of the connection, where small ones get through: only what is stopped. */
  readonly large: readonly End[];
  /** What a real packet did, where one was sent. */
  readonly verification?: Verification;
  /** Why there is no way at all. */
  readonly cause?: string;
  /** What a cluster's objects say beside it. */
  readonly opinion?: Opinion;
  /** How the destination's name is looked up, where it was asked for by one. */
  readonly resolution?: Resolution;
}

/** Asked for ports, programs take one of these. */
const SOURCE_PORT = 50_001;
/** TCP's header with the option of timestamps. */
const ACK_BYTES = 32;
/** No device has a smaller MTU; below it nothing is asked about. */
const MTU_MIN = 576;

/** Protocol numbers of what can be asked about. */
export function protocolNumber(protocol: Question["protocol"], family: Family): number {
  if (protocol !== "icmp") return PROTOCOLS[protocol];
  return family === 4 ? PROTOCOLS.icmp : PROTOCOLS.icmpv6;
}

/** Diagnoses one pair on some nodes' snapshots. */
export function diagnose(snapshots: readonly Snapshot[], question: Question): Diagnosis {
  return diagnoseIn(new Network(snapshots), question);
}

/** The same on a network that is used again. */
export function diagnoseIn(network: Network, question: Question): Diagnosis {
  const none = { question, ways: [], large: [] };
  const text = formatAddress(question.source);
  if (question.source.family !== question.destination.family) {
    const cause = `${text} and ${formatAddress(question.destination)} are of different families`;
    return { ...none, verdict: "blocked", cause };
  }
  const owners = network.owners(question.source);
  const { from } = question;
  const fitting = sendersOf(network, question);
  const [sender, ...others] = fitting;
  if (sender === undefined) {
    const because = owners.length === 0
      ? `no namespace of the snapshot has the source address ${text}`
      : `no namespace that is called "${from ?? "host"}" has the source address ${text}`;
    return { ...none, verdict: "unknown", cause: because };
  }
  if (others.length > 0 && from === undefined) {
    const names = fitting.map(({ label }) => label).join(", ");
    return {
      ...none,
      verdict: "unknown",
      cause: `several namespaces have the source address ${text}: ${names}; --netns says which`,
    };
  }
  const walked = new Conversation(network, sender, question);
  const ways = walked.ways();
  const verdict = verdictOf(ways);
  return {
    ...{ question, sender, ways, verdict },
    large: verdict === "reachable" ? walked.large(ways) : [],
  };
}

/** The namespaces that may send: those with the source's address, by the name that is asked for. */
export function sendersOf(
  network: Network,
  { source, from }: Pick<Question, "source" | "from">,
): readonly Namespace[] {
  const owners = network.owners(source).map(({ namespace }) => namespace);
  // Every namespace has the loopback addresses: who does not say which means the node.
  const name = from ?? (isLoopback(source) ? "host" : undefined);
  return name === undefined ? owners : owners.filter((each) => isNamed(each, name));
}

function isNamed(namespace: Namespace, name: string): boolean {
  const { owner, host, netns } = namespace.snapshot;
  return namespace.label === name || owner.name === name || String(netns) === name ||
    `${owner.namespace}/${owner.name}` === name || host && name === "host";
}

/** Whether all ways lead there and back. */
export function verdictOf(ways: readonly Way[]): Diagnosis["verdict"] {
  const ends = ways.flatMap(({ request, answers }) => [request, ...answers]);
  if (ends.some(({ verdict }) => verdict === "blocked")) return "blocked";
  return ends.length === 0 || ends.some(({ verdict }) => verdict === "unknown")
    ? "unknown"
    : "reachable";
}

class Conversation {
  readonly #first: Packet;

  constructor(
    readonly network: Network,
    readonly sender: Namespace,
    readonly question: Question,
  ) {
    const { source, destination, port, sourcePort = SOURCE_PORT, mark, uid } = question;
    const protocol = protocolNumber(question.protocol, source.family);
    const echo = { type: source.family === 4 ? 8 : 128, code: 0 };
    this.#first = firstPacket({
      ...{ source, destination, protocol },
      ...(question.protocol === "icmp"
        ? { icmp: echo }
        : { sourcePort, destinationPort: port ?? 0 }),
      ...(mark === undefined ? {} : { mark }),
      ...(uid === undefined ? {} : { uid }),
    });
  }

  ways(): readonly Way[] {
    const sockets = new Map<End, Sending>();
    const walker = new Walker(this.network, (trail, namespace, device, packet) => {
      const { end, sending } = this.#heard(trail, namespace, device, packet);
      if (sending !== undefined) sockets.set(end, sending);
      return [end];
    });
    return walker.send(START, this.sender, this.#first).map((walked) => {
      const request = beyondKernel(this.network, walked);
      const answers = request.verdict === "delivered"
        ? this.#answers(request, sockets.get(walked) ?? {}).map((answer) => this.#third(answer))
        : [];
      return { request, answers: answers.map((answer) => beyondKernel(this.network, answer)) };
    });
  }

  #heard(
    trail: Trail,
    namespace: Namespace,
    device: string,
    packet: Packet,
  ): { readonly end: End; readonly sending?: Sending } {
    const delivered = (text: string, sending: Sending = {}) => {
      const next = stepped(trail, { namespace, does: "deliver", text, packet, device });
      const end: End = { verdict: "delivered", trail: next, packet, namespace };
      return { end, sending };
    };
    if (packet.protocol === PROTOCOLS.tcp || packet.protocol === PROTOCOLS.udp) {
      const heard = listenerFor(namespace, device, packet);
      if (heard.heard) {
        const bound = heard.listener.device;
        return delivered(`socket ${heard.text}`, bound === undefined ? {} : { device: bound });
      }
      const verdict = heard.unknown === true ? "unknown" : "blocked";
      return { end: ended(verdict, trail, packet, heard.cause) };
    }
    const path = packet.source.family === 4
      ? "net/ipv4/icmp_echo_ignore_all"
      : "net/ipv6/icmp/echo_ignore_all";
    if (namespace.setting(path) === 0) return delivered("the kernel answers an echo request");
    return {
      end: ended("blocked", trail, packet, {
        id: "echo-ignored",
        namespace,
        what: "echo requests are ignored",
        evidence: [sysctl(namespace, path)],
        confirm: namespace.command(`sysctl ${settingName(path)}`),
        fix: namespace.command(`sysctl -w ${settingName(path)}=0`),
      }),
    };
  }

  /** The answer's ways, from where the request was delivered. */
  #answers(request: End, sending: Sending): readonly End[] {
    const { packet, namespace, trail } = request;
    const strange = foreign(namespace, packet.destination);
    if (strange !== undefined) return [ended("blocked", after(trail), packet, strange)];
    const tcp = packet.protocol === PROTOCOLS.tcp;
    const reflects = namespace.setting("net/ipv4/fwmark_reflect") > 0 && !tcp ||
      namespace.setting("net/ipv4/tcp_fwmark_accept") > 0 && tcp;
    const answer = firstPacket({
      source: packet.destination,
      destination: packet.source,
      protocol: packet.protocol,
      ...(packet.destinationPort === undefined ? {} : { sourcePort: packet.destinationPort }),
      ...(packet.sourcePort === undefined ? {} : { destinationPort: packet.sourcePort }),
      ...(tcp ? { tcpFlags: TCP_FLAGS.syn | TCP_FLAGS.ack } : {}),
      ...(packet.icmp === undefined
        ? {}
        : { icmp: { type: packet.source.family === 4 ? 0 : 129, code: 0 } }),
      mark: reflects ? packet.mark : 0,
    });
    return this.#walker().send(after(trail), namespace, answer, sending);
  }

  /**
   * The answer's end; or that of the handshake's third packet, where no way is known to get there:
   * rules that let new connections pass may not let established ones.
   */
  #third(answer: End): End {
    const [back] = answer.trail.steps;
    if (this.question.protocol !== "tcp" || answer.verdict !== "delivered") return answer;
    const walker = new Walker(this.network, (trail, namespace, _device, packet) => [
      { verdict: "delivered", trail, packet, namespace },
    ]);
    const length = (this.#first.source.family === 4 ? 20 : 40) + ACK_BYTES;
    const packet = { ...this.#first, tcpFlags: TCP_FLAGS.ack, length };
    const ends = walker.send(after(answer.trail), this.sender, packet);
    const [first] = ends;
    if (ends.some(({ verdict }) => verdict === "delivered") || back === undefined) return answer;
    if (first?.cause === undefined) return answer;
    const what = `${first.cause.what}; it is the third packet of the handshake: ` +
      "the first and its answer get through";
    const steps = [...answer.trail.steps, ...first.trail.steps];
    return {
      ...first,
      trail: { ...first.trail, steps },
      cause: { ...first.cause, third: true, what },
    };
  }

  /** Walks what goes back to the sender. */
  #walker(): Walker {
    return new Walker(this.network, (trail, namespace, device, packet) => {
      const wrong = this.#misdelivered(namespace, packet);
      if (wrong !== undefined) return [ended("blocked", trail, packet, wrong)];
      const text = "the socket that asked";
      const next = stepped(trail, { namespace, does: "answer", text, packet, device });
      return [{ verdict: "delivered", trail: next, packet, namespace }];
    });
  }

  #misdelivered(namespace: Namespace, packet: Packet): Cause | undefined {
    const first = this.#first;
    const expected = sameAddress(packet.source, first.destination) &&
      packet.sourcePort === first.destinationPort &&
      packet.destinationPort === first.sourcePort;
    if (namespace === this.sender && expected) return undefined;
    const from = endpoint(packet.source, packet.sourcePort);
    const what = namespace === this.sender
      ? `the answer comes from ${from}, where none was asked: it is taken for a stranger's`
      : `the answer ends in ${namespace.label}, which did not ask`;
    return {
      id: "answer-misdelivered",
      namespace,
      what,
      evidence: [{
        kind: "packet",
        text: `${from} to ${endpoint(packet.destination, packet.destinationPort)}`,
      }],
      confirm: namespace.command("conntrack -L"),
      fix: "let the answer go back the way that the request came, where its address was changed",
    };
  }

  /** What stops packets as large as both ends would send, after the handshake. */
  large(ways: readonly Way[]): readonly End[] {
    if (this.question.protocol !== "tcp") return [];
    return ways.flatMap(({ request, answers }) =>
      answers.flatMap((answer) => {
        const clamped = [...request.trail.steps, ...answer.trail.steps]
          .some(({ text }) => text.includes("TCPMSS"));
        const size = Math.min(firstMtu(request), firstMtu(answer));
        if (clamped || !Number.isFinite(size) || size < MTU_MIN) return [];
        const length = { length: size, tcpFlags: TCP_FLAGS.ack | TCP_FLAGS.psh };
        const start: Trail = { ...after(answer.trail), chance: 1 };
        const walker = new Walker(this.network, (trail, namespace, _device, packet) => [
          { verdict: "delivered", trail, packet, namespace },
        ]);
        const [back] = answer.trail.steps;
        const all = [
          ...walker.send(start, this.sender, { ...this.#first, ...length }),
          ...(back === undefined
            ? []
            : walker.send(start, back.namespace, { ...back.packet, ...length })),
        ];
        return all.filter(({ cause }) => cause?.id === "mtu-icmp" || cause?.id === "mtu-silent");
      })
    );
  }
}

/** Why nothing is sent from an address that is not the namespace's: `ip_route_output_key_hash`. */
function foreign(namespace: Namespace, address: Address): Cause | undefined {
  const own = address.family === 6 || isLocal(namespace, address) ||
    namespace.owner(address) !== undefined;
  if (own) return undefined;
  const text = formatAddress(address);
  return {
    id: "no-source-address",
    namespace,
    what: `it was for ${text}, which is no address of ${namespace.label}, though it was ` +
      "delivered there: nothing can answer from it",
    evidence: [{ kind: "address", text: `${text} is not in the table local` }],
    confirm: namespace.command(`ip route show table local match ${text}`),
    fix: `correct the route or rule that leads packets for ${text} here, or add the address`,
  };
}

/** What fits through the first device of a way. */
function firstMtu({ trail }: End): number {
  for (const { does, namespace, device } of trail.steps) {
    if (does === "route") return namespace.device(device)?.mtu ?? Infinity;
  }
  return Infinity;
}

/** An address and port as people write it. */
export function endpoint(address: Address, port?: number): string {
  const text = formatAddress(address);
  if (port === undefined) return text;
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}
