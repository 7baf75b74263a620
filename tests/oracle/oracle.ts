/**
 * The kernel as judge of the walk: random networks of real namespaces, real packets, and what the
 * walk says of each of them from a snapshot that was taken before.
 *
 * Usage: deno run -A tests/oracle/oracle.ts     SEED=first RUNS=packets UNKNOWNS=1 LINKS=all
 *
 * With LINKS=all there are tunnels, bonds, VLANs, ipvlan and VRFs too, for kernels that have them;
 * with LINKS=virtual the networks are IP virtual servers and those that they send packets to.
 *
 * @module
 */
import { formatAddress, parseAddress } from "../../diagnose/packet/address.ts";
import { readSnapshot, type Snapshot } from "../../diagnose/snapshot/format.ts";
import { snapshotText, type Subject } from "../../diagnose/snapshot/collect.ts";
import { openPlace } from "../../diagnose/snapshot/place.ts";
import { diagnoseIn, type Diagnosis } from "../../diagnose/walk/diagnosis.ts";
import { Network } from "../../diagnose/walk/network.ts";
import { findingsOf } from "../../diagnose/report/finding.ts";
import { type Asked, type Topology, topologyOf } from "./topology.ts";
import { virtualTopologyOf } from "./virtual.ts";

/** A packet that is dropped is waited for this long; before it counts as a mismatch, longer. */
const WAIT_MILLISECONDS = 400;
const WAIT_LONGER_MILLISECONDS = 2_600;

/** What really became of a packet. */
export interface Reality {
  /** `answer`, `silence`, or an errno's name. */
  readonly outcome: string;
  /** What the server saw of it. */
  readonly heard?: {
    readonly namespace: string;
    readonly peer: readonly [address: string, port: number];
    readonly own: readonly [address: string, port: number];
  };
}

/** One packet, both ways. */
export interface Compared {
  readonly asked: Asked;
  readonly said: Diagnosis;
  readonly reality: Reality;
  /** Why they differ; undefined if they agree. */
  readonly differs?: string;
}

/** Sums of a run. */
export interface Tally {
  packets: number;
  agreed: number;
  unknown: number;
  parted: number;
  reachable: number;
}

/** Opens sockets in namespaces, and says what became of packets. */
export class Prober implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor() {
    this.#child = new Deno.Command("python3", {
      args: [new URL("prober.py", import.meta.url).pathname],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async order(order: object): Promise<Record<string, unknown>> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return JSON.parse(line);
      }
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("Cannot go on: the prober has ended");
      this.#rest += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#lines.cancel();
    await this.#child.status;
  }
}

/** Runs a script. */
export async function shell(script: string): Promise<void> {
  const child = new Deno.Command("bash", { stdin: "piped", stdout: "null", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  const { success, stderr } = await child.output();
  if (!success) throw new Error(`Cannot make the network: ${new TextDecoder().decode(stderr)}`);
}

/** A snapshot of these namespaces. */
export async function taken(namespaces: readonly string[]): Promise<Snapshot> {
  const subjects = namespaces.map((name): Subject => {
    const path = `/run/netns/${name}`;
    const inum = Deno.statSync(path).ino ?? 0;
    return {
      ...{ netns: inum, netnsCookie: "0", host: false, pids: [], containerIds: [] },
      owner: { kind: "netns", namespace: "", name },
      place: openPlace(inum, path),
    };
  });
  const head = {
    format: "podskoop-snapshot",
    version: 1,
    ...{ producer: "oracle", node: "oracle", kernel: Deno.osRelease() },
    taken: new Date().toISOString(),
  } as const;
  try {
    const pieces = await Array.fromAsync(snapshotText(head, subjects, subjects, []));
    return readSnapshot(new TextEncoder().encode(pieces.join("")));
  } finally {
    for (const { place } of subjects) if ("close" in place) place.close();
  }
}

/** What became of each packet. */
export async function realities(
  prober: Prober,
  asked: readonly Asked[],
  milliseconds: number,
): Promise<ReadonlyMap<number, Reality>> {
  const answer: { probes?: Record<string, string>; heard?: Record<string, Reality["heard"]> } =
    await prober.order({ probe: asked, milliseconds });
  return new Map(asked.map(({ id }) => {
    const heard = answer.heard?.[id];
    const outcome = answer.probes?.[id] ?? "silence";
    return [id, { outcome, ...(heard === undefined ? {} : { heard }) }];
  }));
}

/** Makes a network, and compares each packet. */
export async function compare(
  topology: Topology,
  prober: Prober,
): Promise<readonly Compared[]> {
  try {
    await shell(topology.script);
    await prober.order({ listen: topology.listening });
    const snapshot = await taken(topology.namespaces);
    const network = new Network([snapshot]);
    const first = await realities(prober, topology.asked, WAIT_MILLISECONDS);
    const compared = await checkPlaces(
      topology.asked.map((asked) =>
        judged(network, asked, first.get(asked.id) ?? { outcome: "silence" })
      ),
      topology.namespaces,
    );
    const differing = compared.filter(({ differs }) => differs !== undefined);
    if (differing.length === 0) return compared;
    return await checkPlaces(await again(prober, topology, compared), topology.namespaces);
  } finally {
    await prober.order({ close: true });
    await shell(topology.namespaces.map((name) => `ip netns delete ${name} || true`).join("\n"));
  }
}

/** The rules that are said to have dropped something must have counted it. */
async function checkPlaces(
  compared: readonly Compared[],
  namespaces: readonly string[],
): Promise<readonly Compared[]> {
  const rules = compared.flatMap(({ said, differs, asked }) =>
    differs !== undefined || said.ways.length > 1
      ? []
      : said.ways.flatMap((way) =>
        [way.request, ...way.answers].flatMap(({ cause }) =>
          cause?.id !== "netfilter-drop" && cause?.id !== "netfilter-reject"
            ? []
            : cause.evidence.flatMap(({ rule }) =>
              rule === undefined ? [] : [{ rule, name: cause.namespace.snapshot.owner.name, asked }]
            )
        )
      )
  );
  if (rules.length === 0) return compared;
  const unbelieved = new Map<Asked, string>();
  const after = await taken(namespaces.filter((name) => rules.some((each) => each.name === name)));
  for (const { rule, name, asked } of rules) {
    const own = after.namespaces.find(({ owner }) => owner.name === name);
    const texts = rule.family === "ip"
      ? { "iptables-legacy": own?.iptablesLegacy, "iptables-nft": own?.iptablesNft }
      : { "iptables-legacy": own?.ip6tablesLegacy, "iptables-nft": own?.ip6tablesNft };
    const text = rule.engine === "iptables-legacy" || rule.engine === "iptables-nft"
      ? texts[rule.engine]
      : undefined;
    if (rule.number === 0 || text === undefined) continue;
    const counted = packetsOf(text, rule.table, rule.chain, rule.number);
    if (counted > 0) continue;
    const place = `${name} ${rule.table} ${rule.chain} ${rule.number} (${rule.text})`;
    unbelieved.set(asked, `said ${place} drops it, which has counted nothing`);
  }
  return compared.map((each) => {
    const differs = unbelieved.get(each.asked);
    return differs === undefined ? each : { ...each, differs };
  });
}

function packetsOf(text: string, table: string, chain: string, number: number): number {
  const [, rest = ""] = text.split(`*${table}\n`);
  const [own = ""] = rest.split("\nCOMMIT");
  const lines = own.split("\n").filter((line) => line.includes(`] -A ${chain} `));
  return Number(/^\[(\d+):/.exec(lines[number - 1] ?? "")?.[1] ?? 0);
}

/**
 * Asks once more what differed, with other ports and more patience, and on a new snapshot: the
 * packets before have taught neighbours and bridges.
 */
async function again(
  prober: Prober,
  topology: Topology,
  compared: readonly Compared[],
): Promise<readonly Compared[]> {
  const moved = compared.filter(({ differs }) => differs !== undefined)
    .map(({ asked }) => ({ ...asked, id: asked.id + 100, sourcePort: asked.sourcePort + 1_000 }));
  const network = new Network([await taken(topology.namespaces)]);
  const second = await realities(prober, moved, WAIT_LONGER_MILLISECONDS);
  return compared.map((each) => {
    const other = moved.find(({ id }) => id === each.asked.id + 100);
    if (other === undefined) return each;
    return judged(network, other, second.get(other.id) ?? { outcome: "silence" });
  });
}

/** What the walk says of a packet, beside what became of it. */
export function judged(network: Network, asked: Asked, reality: Reality): Compared {
  const [source, destination] = [asked.source, asked.destination].map(parseAddress);
  if (source === undefined || destination === undefined) throw new Error("Cannot ask for nothing");
  const { protocol, port, sourcePort } = asked;
  const from = asked.namespace;
  const said = diagnoseIn(network, { source, destination, protocol, port, sourcePort, from });
  const differs = difference(said, reality, asked);
  return { asked, said, reality, ...(differs === undefined ? {} : { differs }) };
}

function difference(said: Diagnosis, reality: Reality, asked: Asked): string | undefined {
  // A connection is one when the server has its third packet, too, which data follow.
  const arrived = reality.outcome === "answer" &&
    (asked.protocol === "udp" || reality.heard !== undefined);
  const possible = new Set(
    said.ways.flatMap(({ request, answers }) =>
      request.verdict !== "delivered" ? [request.verdict] : answers.map(({ verdict }) => verdict)
    ),
  );
  if (possible.has("unknown")) return undefined;
  // The sender's device is down, and with it the address is gone.
  if (reality.outcome === "EADDRNOTAVAIL") return undefined;
  if (possible.size === 0) return "the walk says nothing";
  if (!possible.has(arrived ? "delivered" : "blocked")) {
    return `said ${said.verdict}, was ${reality.outcome}`;
  }
  const { heard } = reality;
  // Only a datagram shows that it came when its answer does not.
  const delivered = said.ways.filter(({ request }) => request.verdict === "delivered");
  if (heard === undefined) {
    const sure = delivered.length === said.ways.length && asked.protocol === "udp";
    return sure ? "said to be delivered, and nobody heard it" : undefined;
  }
  const fits = delivered.some(({ request: { packet, namespace } }) =>
    namespace.snapshot.owner.name === heard.namespace &&
    plain(heard.peer[0]) === formatAddress(packet.source) &&
    (asked.protocol === "udp" || plain(heard.own[0]) === formatAddress(packet.destination))
  );
  if (fits) return undefined;
  return `heard by ${heard.namespace} from ${heard.peer} at ${heard.own}, ` +
    `said ${
      delivered.map(({ request }) =>
        `${request.namespace.label} from ${formatAddress(request.packet.source)}`
      )
    }`;
}

function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, "");
}

/** Runs networks from a seed on until that many packets were sent. */
export async function runOracle(
  seed: number,
  packets: number,
  report: (line: string) => void,
  { unknowns = false, links = "some", begins }: {
    unknowns?: boolean;
    links?: string;
    begins?: (seed: number) => void;
  } = {},
): Promise<{ tally: Tally; mismatches: readonly Compared[] }> {
  await using prober = new Prober();
  const tally: Tally = { packets: 0, agreed: 0, unknown: 0, parted: 0, reachable: 0 };
  const mismatches: Compared[] = [];
  for (let at = seed; tally.packets < packets; at++) {
    begins?.(at);
    const prefix = `o${Deno.pid.toString(36)}`;
    const topology = links === "virtual"
      ? virtualTopologyOf(at, prefix)
      : topologyOf(at, prefix, links === "all");
    const compared = await compare(topology, prober);
    for (const each of compared) {
      tally.packets++;
      // A sender without its address is none.
      const sender = each.said.sender !== undefined;
      if (sender && each.said.verdict === "unknown") tally.unknown++;
      if (each.said.ways.length > 1) tally.parted++;
      if (each.reality.outcome === "answer") tally.reachable++;
      if (each.differs === undefined) tally.agreed++;
      else mismatches.push(each);
      const worth = each.differs !== undefined ||
        unknowns && sender && each.said.verdict === "unknown";
      if (worth) report(lineOf(at, each));
    }
  }
  return { tally, mismatches };
}

function lineOf(seed: number, { asked, said, reality, differs }: Compared): string {
  const { protocol, source, destination, port, namespace } = asked;
  const [first] = findingsOf(said);
  const found = first === undefined ? "" : `${first.where.namespace} ${first.id}: ${first.message}`;
  return `seed ${seed}: ${namespace} ${protocol} ${source} ${destination} ${port}: ${differs} ` +
    `(${reality.outcome}, heard by ${reality.heard?.namespace ?? "nobody"}) ${found}`;
}

if (import.meta.main) {
  const seed = Number(Deno.env.get("SEED") ?? 1);
  const packets = Number(Deno.env.get("RUNS") ?? 300);
  const write = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  const began = performance.now();
  const { tally, mismatches } = await runOracle(seed, packets, write, {
    unknowns: Deno.env.has("UNKNOWNS"),
    links: Deno.env.get("LINKS") ?? "some",
    // One that never ends, or takes all memory, is the last that was named.
    begins: (at) => void Deno.stderr.writeSync(new TextEncoder().encode(`\rseed ${at} `)),
  });
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  write(`${JSON.stringify(tally)} in ${seconds} s, ${mismatches.length} mismatches`);
  Deno.exit(mismatches.length === 0 ? 0 : 1);
}
