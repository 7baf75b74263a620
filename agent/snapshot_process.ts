/**
 * Takes a snapshot in a process of its own: rule sets of tens of megabytes have no room in the
 * agent's heap, and threads that enter namespaces none in a process that must never be in one.
 *
 * @module
 */
import { feed, kill, startOwn } from "./own_process.ts";
import type { Agent } from "./surface.ts";

/** What to put into it; nothing is everything. */
export interface SnapshotQuery {
  readonly pods: readonly string[];
  readonly netns: readonly string[];
}

/** Starts the program that collects; tests give their own. */
export type StartCollecting = (args: readonly string[]) => Deno.ChildProcess;

/** What its standard error may say. */
const SAID_BYTES_MAX = 4_096;

/** This program, as the command that it also is. */
export const startCollecting: StartCollecting = (args) =>
  startOwn(["collect", "--local", "--known-from-stdin", ...args]);

/** The snapshot could not be taken; the message is the program's own. */
export class SnapshotError extends Error {}

/**
 * The text of a snapshot. It fails at once when nothing could be collected, and its stream fails
 * when the program ends badly later. `onEnd` is called once, when the program has ended.
 *
 * @throws {SnapshotError}
 */
export async function snapshotStream(
  { pods, netns }: SnapshotQuery,
  agent: Pick<Agent, "pods" | "status">,
  onEnd: () => void,
  start: StartCollecting = startCollecting,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const child = start([
    ...pods.map((pod) => `--pod=${pod}`),
    ...netns.map((each) => `--netns=${each}`),
  ]);
  const said = textOf(child.stderr);
  const ended = child.status.finally(onEnd);
  const owners = agent.pods().filter(({ goneAt }) => goneAt === undefined);
  const writing = feed(child, JSON.stringify({ node: agent.status().node, owners }));
  const reader = child.stdout.getReader();
  const failure = async () => {
    const [{ success, code }, text] = await Promise.all([ended, said]);
    if (success) return undefined;
    return new SnapshotError(text.trim().replace(/^podskoop: /, "") || `It ended with ${code}`);
  };
  const first = await reader.read();
  await writing;
  if (first.done) throw await failure() ?? new SnapshotError("Cannot collect: nothing was written");
  let chunk: Uint8Array<ArrayBuffer> | undefined = first.value;
  return new ReadableStream({
    async pull(controller) {
      const value = chunk ?? (await reader.read()).value;
      chunk = undefined;
      if (value !== undefined) return controller.enqueue(value);
      const failed = await failure();
      if (failed === undefined) controller.close();
      else controller.error(failed);
    },
    async cancel() {
      kill(child);
      await reader.cancel();
      await Promise.all([ended, said]);
    },
  });
}

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    if (text.length < SAID_BYTES_MAX) text += part;
  }
  return text.slice(0, SAID_BYTES_MAX);
}
