/**
 * Runs one diagnosis in a process of its own: reading the node and walking take seconds of a CPU,
 * which the agent's one thread does not have.
 *
 * @module
 */
import * as v from "valibot";
import type { Config } from "./config/config.ts";
import { feed, kill, startOwn } from "./own_process.ts";
import type { Agent } from "./surface.ts";

/** What is asked: as the options of `podskoop diagnose`. */
export interface DiagnosisQuestion {
  /** An address, `pod/NAMESPACE/NAME` or `node/NAME`. */
  readonly source: string;
  readonly destination: string;
  readonly port?: number;
  readonly protocol?: "tcp" | "udp" | "icmp";
  /** Which namespace sends, where several have the address. */
  readonly netns?: string;
  readonly sourcePort?: number;
  readonly mark?: number;
  readonly uid?: number;
  /** Whether a real packet is sent, too. */
  readonly verify?: boolean;
}

/** What the process is told, on its standard input. */
export interface DiagnosisTask {
  readonly node: string;
  /** Who is behind each namespace. */
  readonly owners: readonly unknown[];
  readonly question: DiagnosisQuestion;
  /** Where the agent can be asked what its probes saw of a real packet. */
  readonly socket?: string;
  /** The cluster whose objects are asked for; absent for none. */
  readonly kubernetes?: { readonly kubeconfig?: string };
}

/** The first line of what it writes; the rest is an object of texts, by their formats. */
export const headShape = v.strictObject({
  verdict: v.picklist(["reachable", "blocked", "unknown"]),
  summary: v.string(),
  /** What could not be had, and did not stop it. */
  notes: v.array(v.string()),
  /** The predecessor's document; empty where it is too long for a list. */
  predecessor: v.string(),
});

/** What came of it. */
export interface DiagnosisResult extends v.InferOutput<typeof headShape> {
  /** The texts by their formats: JSON, packed with gzip. */
  readonly packed: Uint8Array<ArrayBuffer>;
}

/** The process ended without an answer; the message is its own. */
export class DiagnosisError extends Error {
  override readonly name = "DiagnosisError";
  /** Whether what was asked is at fault, and whether there was no more time. */
  constructor(message: string, readonly isQuestion = false, readonly isLate = false) {
    super(message);
  }
}

/** Starts the program that diagnoses; tests give their own. */
export type StartDiagnosing = () => Deno.ChildProcess;

/** This program, as the command that it also is. */
export const startDiagnosing: StartDiagnosing = () => startOwn(["diagnose", "--for-agent"]);

/** What its standard output, and its standard error, may have. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const SAID_BYTES_MAX = 4_096;

/** How a command line that makes no sense ends. */
const EXIT_QUESTION = 2;

/** What of the agent a diagnosis takes. */
export type Asked = Pick<Agent, "pods" | "status">;

/** What of its configuration. */
export type Known = Partial<Pick<Config, "kubernetes" | "socket">>;

/** The task of a question. */
export function taskOf(
  question: DiagnosisQuestion,
  agent: Asked,
  { kubernetes, socket }: Known = {},
): DiagnosisTask {
  const { scope = "off", kubeconfig } = kubernetes ?? {};
  const owners = agent.pods().filter(({ goneAt }) => goneAt === undefined);
  return {
    ...{ node: agent.status().node, owners, question },
    ...(socket === undefined ? {} : { socket }),
    ...(scope === "off" ? {} : { kubernetes: kubeconfig === undefined ? {} : { kubeconfig } }),
  };
}

/**
 * Runs it to its end; `signal` kills it.
 *
 * @throws {DiagnosisError} when it has no answer
 */
export async function diagnoseInProcess(
  task: DiagnosisTask,
  signal: AbortSignal,
  start: StartDiagnosing = startDiagnosing,
): Promise<DiagnosisResult> {
  const child = start();
  const end = () => kill(child);
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  try {
    const writing = feed(child, JSON.stringify(task));
    const [answer, said, { success, code }] = await Promise.all([
      bytesOf(child.stdout, ANSWER_BYTES_MAX, end),
      bytesOf(child.stderr, SAID_BYTES_MAX),
      child.status,
      writing,
    ]);
    if (signal.aborted) throw new DiagnosisError(String(signal.reason));
    if (answer.isCut) {
      const because = `its answer has more than ${ANSWER_BYTES_MAX} bytes`;
      throw new DiagnosisError(`Cannot take the diagnosis: ${because}`);
    }
    if (success) return await resultOf(answer.bytes);
    const text = new TextDecoder().decode(said.bytes).trim().replace(/^podskoop: /, "");
    throw new DiagnosisError(
      text === "" ? `Cannot diagnose: the process ended with ${code}` : text,
      code === EXIT_QUESTION,
    );
  } finally {
    signal.removeEventListener("abort", end);
  }
}

async function resultOf(bytes: Uint8Array<ArrayBuffer>): Promise<DiagnosisResult> {
  const end = bytes.indexOf("\n".charCodeAt(0));
  try {
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, Math.max(end, 0))));
    const packing = new Blob([bytes.subarray(end + 1)]).stream()
      .pipeThrough(new CompressionStream("gzip"));
    const packed = new Uint8Array(await new Response(packing).arrayBuffer());
    return { ...v.parse(headShape, head), packed };
  } catch (error) {
    throw new DiagnosisError(`Cannot read the diagnosis: ${error}`);
  }
}

/** The texts of a result, by their formats. */
export async function textsOf(
  { packed }: Pick<DiagnosisResult, "packed">,
): Promise<Readonly<Record<string, string>>> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return v.parse(v.record(v.string(), v.string()), await new Response(stream).json());
}

/** What a stream has, up to a bound; the rest is read and thrown away. */
async function bytesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  bytesMax: number,
  onMore = () => {},
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly isCut: boolean }> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const chunk of stream) {
    if (length <= bytesMax && length + chunk.length > bytesMax) onMore();
    length += chunk.length;
    if (length <= bytesMax) chunks.push(chunk);
  }
  const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
  return { bytes, isCut: length > bytesMax };
}
