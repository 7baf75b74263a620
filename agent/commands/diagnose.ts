/**
 * `podskoop diagnose`: where a packet goes, and what stops it.
 *
 * @module
 */
import { Command, Option } from "commander";
import { htmlText } from "../../diagnose/report/html.ts";
import { headline } from "../../diagnose/report/headline.ts";
import { documentOf } from "../../diagnose/report/json.ts";
import type { Cluster } from "../../diagnose/kube/cluster.ts";
import { parseAddress } from "../../diagnose/packet/address.ts";
import {
  destinationOf,
  isLookedUp,
  isTargetName,
  type Names,
  paired,
  type Target,
  targetOf,
} from "../../diagnose/kube/target.ts";
import { nodesOf } from "../../diagnose/kube/concerned.ts";
import { DNS_PORT, type Lookup } from "../../diagnose/kube/dns.ts";
import { readSnapshot } from "../../diagnose/snapshot/format.ts";
import type { Diagnosis, Question } from "../../diagnose/walk/diagnosis.ts";
import { Network } from "../../diagnose/walk/network.ts";
import type { Address } from "../config/keys.ts";
import { printable } from "../log.ts";
import { jsonText } from "../routes/answer.ts";
import { type AgentAddress, type ClientOptions, withClientOptions } from "./client.ts";
import { snapshot } from "./collect.ts";
import { readBoundedText } from "../bounded_file.ts";
import { parseListen } from "./agent.ts";
import { diagnoseForAgent } from "./diagnose_for_agent.ts";
import { cloudOf } from "./diagnose_facts.ts";
import { FORMATTERS, TEXT_COLUMNS } from "./diagnose_formats.ts";
import {
  type Collected,
  ofAgents,
  ofCluster,
  tellMissing,
  withMissing,
  withOthers,
} from "./diagnose_nodes.ts";
import { PAGE_ADDRESS, servePage } from "./diagnose_page.ts";
import { asksApi, clusterOf, diagnosed, namesOf } from "./diagnose_objects.ts";
import { verified } from "./diagnose_verify.ts";
import { tellingWait } from "./patience.ts";
import { withExamples } from "./program.ts";
import { readSnapshotFile } from "./snapshot_file.ts";
import { Failure, type Terminal } from "./terminal.ts";

const PORT_MAX = 65_535;
const MARK_MAX = 0xffffffff;
/** Pairs of one matrix, and bytes of its file. */
const PAIRS_MAX = 10_000;
const MATRIX_BYTES_MAX = 4 * 1024 * 1024;

const PROTOCOLS: readonly Question["protocol"][] = ["tcp", "udp", "icmp"];

/** How scripts see the answer. */
const EXIT_CODES = { reachable: 0, blocked: 2, unknown: 3 } as const;

/** What `podskoop diagnose` takes. */
export interface DiagnoseOptions extends ClientOptions {
  readonly src?: string;
  readonly dst?: string;
  readonly port?: string;
  readonly protocol: string;
  readonly netns?: string;
  readonly sourcePort?: string;
  readonly mark?: string;
  readonly uid?: string;
  readonly snapshot: readonly string[];
  readonly matrix?: string;
  readonly format: keyof typeof FORMATTERS;
  readonly output?: string;
  readonly local?: boolean;
  readonly objects?: readonly string[];
  readonly kubeconfig?: string;
  readonly inCluster?: boolean;
  readonly agentNamespace?: string;
  readonly facts?: string;
  /** The agents that were named; several are asked for their snapshots at the same time. */
  readonly agents?: readonly AgentAddress[];
  readonly verify?: boolean;
  readonly forAgent?: boolean;
  readonly http?: boolean;
  readonly httpAddress?: Address;
}

/** Diagnoses a connection on this node, or on snapshots of any. */
export function diagnoseCommand(terminal: Terminal): Command {
  const agents: AgentAddress[] = [];
  const command: Command = withClientOptions(
    withQuestion(
      new Command("diagnose")
        .description("where a packet goes and what stops it; 0 reachable, 2 blocked, 3 unknown"),
    )
      .option("--matrix <file>", "many pairs, one a line: SOURCE DESTINATION PORT [PROTOCOL]")
      .option("--snapshot <file>", "a node's snapshot instead of this one; repeatable", listed)
      .option("--verify", "send the real packet, too, and say what came of it")
      .option("--local", "ask no agent, even if one runs"),
    agents,
  ).action(async (given: Omit<DiagnoseOptions, "snapshot"> & Partial<DiagnoseOptions>) => {
    const options: DiagnoseOptions = { snapshot: [], ...given };
    if (options.forAgent === true) return await diagnoseForAgent(terminal);
    await runDiagnosis({ ...options, agents }, agents.length > 0, terminal);
  });
  command.addOption(new Option("--for-agent").hideHelp());
  return withExamples(
    command,
    ["Between two pods of this node", "podskoop diagnose -s 10.244.3.72 -d 10.244.2.201 -p 8080"],
    [
      "On a node's snapshot, far from it",
      "podskoop diagnose --snapshot node.json.gz -s 10.0.0.1 -d 10.0.1.2 -p 53",
    ],
  );
}

/** The options that say what is asked and how it is answered. */
export function withQuestion(command: Command): Command {
  return command
    .option(
      "-s, --src <address>",
      "where the packet comes from; also pod/NAMESPACE/NAME, node/NAME",
    )
    .option("-d, --dst <address>", "where it is to go; also svc/NAMESPACE/NAME:PORT, or a DNS name")
    .option("-p, --port <port>", "to which port")
    .addOption(new Option("--dport <port>", "as --port").hideHelp())
    .addOption(new Option("--protocol <protocol>").choices(PROTOCOLS).default("tcp"))
    .option("--netns <name>", "which namespace sends, where several have the address")
    .option("--source-port <port>", "from which port (default: a high one)")
    .option("--mark <mark>", "the mark that the sender's socket sets")
    .option("--uid <uid>", "the sender's user (default: 0)")
    .option(
      "--objects <file>",
      "the cluster's objects, by `kubectl get -o json`; repeatable",
      listed,
    )
    .option("--kubeconfig <file>", "ask this cluster's API for its objects, and its agents")
    .option("--in-cluster", "ask the API of the cluster that this is a pod of")
    .option("--agent-namespace <name>", "where a cluster's agents are, if that is in doubt")
    .option("--facts <file>", "what is known of a cloud's network between the nodes, YAML or JSON")
    .addOption(new Option("--format <format>").choices(Object.keys(FORMATTERS)).default("text"))
    .option("--http", "show it as a page, too, until it is interrupted")
    .option(
      "--http-address <host:port>",
      `where the page is shown (default: ${PAGE_ADDRESS})`,
      parseListen,
    )
    .option("-o, --output <file>", "write there instead of to standard output");
}

/** Collects, walks, prints; ends with what the verdict stands for. */
export async function runDiagnosis(
  options: DiagnoseOptions & { readonly dport?: string },
  explicit: boolean,
  terminal: Terminal,
): Promise<void> {
  if (options.verify === true && options.snapshot.length > 0) {
    throw new Failure("Cannot verify on a snapshot: --verify sends from this node", 2);
  }
  if (options.verify === true && isElsewhere(options, explicit)) {
    throw new Failure("Cannot verify on other nodes' snapshots: --verify sends from this node", 2);
  }
  const pairs = await pairsOf(options);
  const cluster = await clusterOf(options, terminal);
  const cloud = await cloudOf(options.facts);
  const on = ({ snapshots, missing }: Collected) => {
    const network = new Network(snapshots, cloud);
    const names = namesOf(network, cluster);
    const questions = pairs.map(([words, where]) => questionOf(options, words, where, names));
    return questions.map((question) => withMissing(diagnosed(network, question, cluster), missing));
  };
  const first = await snapshotsOf(options, explicit, cluster, terminal, pairs);
  const known = on(first);
  const open = first.others !== undefined && known.some(({ verdict }) => verdict === "unknown");
  const all = open ? await withOthers(first) : first;
  tellMissing(all.missing, terminal);
  const diagnoses = open ? on(all) : known;
  const told = options.verify === true
    ? await verified(diagnoses, options.local === true ? undefined : options)
    : diagnoses;
  const text = written(told, options, terminal);
  if (options.output === undefined || options.output === "-") terminal.out(text);
  else await write(options.output, text);
  await showPage(told, options, terminal);
  const worst = Math.max(...told.map(exitCodeOf));
  if (worst === 2 || worst === 3) throw new Failure("", worst);
}

/** A walk that a real packet contradicts has not told what is so. */
function exitCodeOf({ verdict, verification }: Diagnosis): number {
  return EXIT_CODES[verification?.agrees === false ? "unknown" : verdict];
}

async function showPage(
  [first]: readonly Diagnosis[],
  { http, httpAddress = parseListen(PAGE_ADDRESS) }: DiagnoseOptions,
  terminal: Terminal,
): Promise<void> {
  if (http === true && first !== undefined) {
    await servePage(htmlText(first), httpAddress, terminal);
  }
}

function written(
  diagnoses: readonly Diagnosis[],
  options: DiagnoseOptions,
  terminal: Terminal,
): string {
  const [first] = diagnoses;
  const { format, matrix } = options;
  if (matrix === undefined && first !== undefined) {
    return FORMATTERS[format](first, Math.min(terminal.columns ?? TEXT_COLUMNS, TEXT_COLUMNS));
  }
  if (format === "text") return diagnoses.map(lineOf).join("");
  if (format === "json") return `${jsonText(diagnoses.map(documentOf), 2)}\n`;
  throw new Failure(`Cannot write a matrix as ${format}: it takes text or json`, 2);
}

/** One pair of a matrix. */
function lineOf(diagnosis: Diagnosis): string {
  const { verification } = diagnosis;
  const real = verification === undefined ? "" : ` (${verification.text})`;
  return printable(`${pairText(diagnosis)}: ${headline(diagnosis)}${real}`) + "\n";
}

function pairText({ question }: Diagnosis): string {
  const { source, destination, protocol, port } = documentOf({
    ...{ question, verdict: "unknown", ways: [], large: [] },
  }).question;
  return `${source} ${destination} ${port ?? "-"} ${protocol}`;
}

async function write(path: string, text: string): Promise<void> {
  try {
    await Deno.writeTextFile(path, text, { mode: 0o600 });
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw new Failure(`Cannot write the diagnosis to "${path}": ${because}`);
  }
}

/** Whether other nodes' agents are asked. */
function isElsewhere(
  { agents = [], local, snapshot: files, ...api }: DiagnoseOptions,
  explicit: boolean,
): boolean {
  if (files.length > 0) return false;
  return agents.length > 1 || asksApi(api) && !explicit && local !== true;
}

/** Of files; of agents that were named; of a cluster's agents; else of this node. */
async function snapshotsOf(
  options: DiagnoseOptions,
  explicit: boolean,
  cluster: Cluster | undefined,
  terminal: Terminal,
  pairs: Pairs,
): Promise<Collected> {
  using _wait = tellingWait("Collecting", terminal);
  const { agents = [] } = options;
  if (options.snapshot.length > 0) {
    return { snapshots: await Promise.all(options.snapshot.map(readSnapshotFile)), missing: [] };
  }
  if (agents.length > 1) return await ofAgents(agents, options);
  if (isElsewhere(options, explicit)) {
    const concerned = cluster && concernedBy(pairs, options, cluster);
    const collected = await ofCluster(options, cluster?.nodes.keys(), concerned);
    if (collected !== undefined) return collected;
    terminal.err("podskoop: the cluster has no agents: collecting on this node\n");
  }
  const pieces = await snapshot({ ...options, pod: [], netns: [] }, explicit, terminal);
  const text = (await Array.fromAsync(pieces)).join("");
  return { snapshots: [readSnapshot(new TextEncoder().encode(text))], missing: [] };
}

/** What pairs are asked about, each with where it is written. */
type Pairs = readonly (readonly [Words, string])[];

/** The nodes that all pairs are about; undefined where it takes snapshots to tell. */
function concernedBy(
  pairs: Pairs,
  options: DiagnoseOptions,
  cluster: Cluster,
): ReadonlySet<string> | undefined {
  try {
    const questions = pairs.map(([words, where]) => questionOf(options, words, where, { cluster }));
    return nodesOf(cluster, questions);
  } catch (error) {
    // Snapshots may know the name; if they do not, it is asked again, and that says so.
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** The pairs that are asked about. */
async function pairsOf(
  options: DiagnoseOptions & { readonly dport?: string },
): Promise<Pairs> {
  const { src, dst, port = options.dport, protocol, matrix } = options;
  if (matrix === undefined) {
    const words = { src, dst, port, protocol };
    checked(options, words, "");
    return [[words, ""]];
  }
  if (src !== undefined || dst !== undefined) {
    throw new Failure("Cannot take --src or --dst beside --matrix, which has the pairs", 2);
  }
  const lines = await matrixLines(matrix);
  return lines.map(([line, number]) => {
    const [from, to, dport, proto = protocol, ...more] = line.split(/\s+/);
    if (more.length > 0) {
      throw new Failure(`Cannot read "${matrix}", line ${number}: "${line}" has too many words`, 2);
    }
    const words = { src: from, dst: to, port: dport === "-" ? undefined : dport, protocol: proto };
    const where = `"${matrix}", line ${number}: `;
    checked(options, words, where);
    return [words, where];
  });
}

async function matrixLines(path: string): Promise<readonly (readonly [string, number])[]> {
  let text: string;
  try {
    text = await readBoundedText(path, MATRIX_BYTES_MAX);
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw new Failure(`Cannot read the matrix "${path}": ${because}`);
  }
  const lines = text.split("\n").map((line, index) => [line.trim(), index + 1] as const)
    .filter(([line]) => line !== "" && !line.startsWith("#"));
  if (lines.length === 0 || lines.length > PAIRS_MAX) {
    throw new Failure(
      `Cannot read the matrix "${path}": it has ${lines.length} pairs, of 1 to ${PAIRS_MAX}`,
      2,
    );
  }
  return lines;
}

interface Words {
  readonly src: string | undefined;
  readonly dst: string | undefined;
  readonly port: string | undefined;
  readonly protocol: string;
}

/** Events and answers have an address with its port, which people copy. */
function aloneHint(text: string): string {
  const found = /^(?:\[(.*)\]|([\d.]+))(?::\d+)?$/.exec(text);
  const plain = found?.[1] ?? found?.[2] ?? "";
  return parseAddress(plain) === undefined ? "" : `: give ${plain} alone, and a port by -p`;
}

/** What is wrong without looking at anything; the numbers. */
function checked(
  options: NumberOptions,
  { src, dst, port, protocol: name }: Words,
  where: string,
) {
  const protocol = PROTOCOLS.find((each) => each === name);
  if (protocol === undefined) {
    throw new Failure(`${where}Cannot diagnose the protocol "${name}": ${PROTOCOLS.join(", ")}`, 2);
  }
  for (const [text, flag, what] of [[src, "-s", "source"], [dst, "-d", "destination"]] as const) {
    if (text === undefined) {
      throw new Failure(`${where}Cannot diagnose without a ${what}: give ${flag} ADDRESS`, 2);
    }
    if (parseAddress(text) !== undefined || isTargetName(text)) continue;
    if (text === dst && isLookedUp(text)) continue;
    throw new Failure(
      `${where}Cannot take "${text}" as the ${what}: it is no IP address, nor pod/, svc/ or node/` +
        aloneHint(text),
      2,
    );
  }
  // A service's name may say its port.
  const isNamed = isTargetName(dst ?? "") || isLookedUp(dst ?? "");
  if (protocol !== "icmp" && port === undefined && !isNamed) {
    throw new Failure(`${where}Cannot diagnose ${protocol} without a port: give -p PORT`, 2);
  }
  const number = (text: string | undefined, what: string, min: number, max: number) => {
    if (text === undefined) return undefined;
    const value = /^(\d{1,10}|0x[0-9a-f]{1,8})$/i.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new Failure(`${where}Cannot take "${text}" as ${what}: it is one of ${min} to ${max}`, 2);
  };
  return {
    protocol,
    port: protocol === "icmp" ? undefined : number(port, "a port", 1, PORT_MAX),
    sourcePort: number(options.sourcePort, "a source port", 1, PORT_MAX),
    mark: number(options.mark, "a mark", 0, MARK_MAX),
    uid: number(options.uid, "a user", 0, MARK_MAX),
  };
}

type NumberOptions = Pick<DiagnoseOptions, "sourcePort" | "mark" | "uid">;

/** What is asked, from what was typed. */
export function questionOf(
  options: NumberOptions & Pick<DiagnoseOptions, "netns">,
  words: Words,
  where = "",
  names: Names = {},
): Question {
  const given = checked(options, words, where);
  const from = targetIn(words.src, where, (text) => targetOf(text, names));
  const own = { ...from, ...(options.netns === undefined ? {} : { pod: options.netns }) };
  const to = targetIn(words.dst, where, (text) => destinationOf(text, own, names));
  const { lookup } = to;
  if (lookup?.addresses.length === 0) return nameserverQuestion(from, lookup, options.netns, where);
  const [source, destination] = pairIn(from, to, where);
  // A port by its name has its own protocol.
  const isNamed = given.port === undefined && given.protocol !== "icmp";
  const protocol = isNamed ? to.protocol ?? given.protocol : given.protocol;
  const port = isNamed ? to.port : given.port;
  if (protocol !== "icmp" && port === undefined) {
    throw new Failure(`${where}Cannot diagnose ${protocol} without a port: give -p PORT`, 2);
  }
  return {
    ...{ source, destination, protocol },
    ...(port === undefined ? {} : { port }),
    ...(given.sourcePort === undefined ? {} : { sourcePort: given.sourcePort }),
    ...(given.mark === undefined ? {} : { mark: given.mark }),
    ...(given.uid === undefined ? {} : { uid: given.uid }),
    ...senderOf(options.netns ?? from.pod),
    ...(lookup === undefined ? {} : { lookup }),
  };
}

/** Of a name that nobody here knows, what is asked is whether those are reached who may know it. */
function nameserverQuestion(
  from: Target,
  lookup: Lookup,
  netns: string | undefined,
  where: string,
): Question {
  const [source, destination] = pairIn(from, { addresses: lookup.resolver.nameservers }, where);
  const sender = senderOf(netns ?? from.pod);
  return { source, destination, protocol: "udp", port: DNS_PORT, ...sender, lookup };
}

function senderOf(name: string | undefined): Pick<Question, "from"> {
  return name === undefined ? {} : { from: name };
}

function targetIn(
  text: string | undefined,
  where: string,
  read: (text: string) => Target,
): Target {
  try {
    return read(text ?? "");
  } catch (error) {
    if (error instanceof Error) throw new Failure(`${where}${error.message}`, 2);
    throw error;
  }
}

function pairIn(from: Target, to: Target, where: string) {
  const [first, second] = [from.addresses[0], to.addresses[0]];
  // Two addresses that were typed are asked about as they are.
  if (
    first !== undefined && second !== undefined && from.addresses.length + to.addresses.length < 3
  ) {
    return [first, second] as const;
  }
  try {
    return paired(from, to);
  } catch (error) {
    if (error instanceof Error) throw new Failure(`${where}${error.message}`, 2);
    throw error;
  }
}

function listed(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
