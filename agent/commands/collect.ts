/**
 * `podskoop collect`: the node's network state as one document, for looking at it elsewhere.
 *
 * @module
 */
import { Command } from "commander";
import * as v from "valibot";
import type { Known, Wanted } from "../../diagnose/snapshot/subjects.ts";
import { type Head, packingOf, VERSION } from "../../diagnose/snapshot/format.ts";
import { version } from "../version.ts";
import {
  AgentClient,
  type ClientOptions,
  DEFAULT_SOCKET,
  NoAgentFailure,
  withClientOptions,
} from "./client.ts";
import { tellingMissing } from "./collect_missing.ts";
import { tellingWait } from "./patience.ts";
import { withExamples } from "./program.ts";
import { saveSnapshot } from "./snapshot_file.ts";
import { Failure, type Terminal } from "./terminal.ts";

/** A snapshot through the agent is there within this time. */
const AGENT_MILLISECONDS = 90_000;

/** Which namespaces to take, and of whom. */
export interface SnapshotOptions extends ClientOptions {
  readonly pod: readonly string[];
  readonly netns: readonly string[];
  readonly local?: boolean;
  readonly knownFromStdin?: boolean;
}

interface CollectOptions extends SnapshotOptions {
  readonly output?: string;
}

/** Takes a snapshot, through the agent where one runs, for it knows the pods' names. */
export function collectCommand(terminal: Terminal): Command {
  const command: Command = withClientOptions(
    new Command("collect")
      .description("snapshot of the node's network state, to be looked at anywhere")
      .option(
        "-o, --output <file>",
        "a .json, .json.gz or .json.zst; without it, JSON to standard output",
      )
      .option("--pod <pod>", "only this pod, NAMESPACE/NAME; can be repeated", listed)
      .option(
        "--netns <netns>",
        "only this one: host, a name, an inode number or a path; can be repeated",
        listed,
      )
      .option("--local", "ask no agent, even if one runs"),
  ).action(async (given: Partial<CollectOptions> & ClientOptions) => {
    const options: CollectOptions = { pod: [], netns: [], ...given };
    const { output } = options;
    const packing = output === undefined ? "json" : usable(() => packingOf(output));
    const explicit = command.getOptionValueSource("agent") === "cli";
    using _wait = tellingWait("Collecting", terminal);
    const taken = await snapshot(options, explicit, terminal);
    // The agent's own process speaks to the agent, which hands on what it is asked for.
    const pieces = options.knownFromStdin === true ? taken : tellingMissing(taken, terminal);
    if (output === undefined) { for await (const piece of pieces) terminal.out(piece); }
    else await saveSnapshot(output, packing, pieces);
  });
  command.addOption(command.createOption("--known-from-stdin").hideHelp());
  return withExamples(
    command,
    ["All of this node", "podskoop collect -o node.json.gz"],
    ["One pod and the host", "podskoop collect --pod shop/web-0 --netns host -o web.json.gz"],
  );
}

function listed(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function usable<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError) throw new Failure(error.message, 2);
    throw error;
  }
}

/** A snapshot's text, through the agent where one answers; `explicit` takes no other way. */
export async function snapshot(
  options: SnapshotOptions,
  explicit: boolean,
  terminal: Terminal,
): Promise<AsyncIterable<string>> {
  if (options.local !== true) {
    try {
      return await fromAgent(options);
    } catch (error) {
      if (explicit || !(error instanceof NoAgentFailure)) throw error;
      terminal.err(
        `No agent answers at ${DEFAULT_SOCKET}: collecting without one, and without pods' names\n`,
      );
    }
  }
  const known = options.knownFromStdin === true
    ? await knownFromStdin()
    : { node: Deno.hostname(), owners: [] };
  return snapshotHere({ pods: options.pod, netns: options.netns }, known);
}

async function fromAgent(options: SnapshotOptions): Promise<AsyncIterable<string>> {
  const client = new AgentClient(options);
  try {
    const query = new URLSearchParams([
      ...options.pod.map((pod) => ["pod", pod]),
      ...options.netns.map((netns) => ["netns", netns]),
    ]);
    const signal = AbortSignal.timeout(AGENT_MILLISECONDS);
    const { body } = await client.get(`/snapshot?${query}`, {}, signal);
    return texts(body, client);
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

async function* texts(
  body: Response["body"],
  client: AgentClient,
): AsyncGenerator<string> {
  using _client = client;
  try {
    if (body !== null) yield* body.pipeThrough(new TextDecoderStream());
  } catch (error) {
    throw new Failure(`Cannot get the whole snapshot from ${client.where}: ${String(error)}`);
  }
}

async function knownFromStdin(): Promise<Known> {
  const { knownShape } = await import("../../diagnose/snapshot/subjects.ts");
  return v.parse(knownShape, JSON.parse(await new Response(Deno.stdin.readable).text()));
}

/**
 * A snapshot that this process takes.
 *
 * Imported when it runs: it opens libc, which the other commands do without. */
export async function* snapshotHere(
  wanted: Wanted,
  { node, owners }: Known,
): AsyncGenerator<string> {
  const { choose, lookAround } = await import("../../diagnose/snapshot/subjects.ts");
  const { snapshotText } = await import("../../diagnose/snapshot/collect.ts");
  using around = await lookAround(node, owners);
  const head: Head = {
    format: "podskoop-snapshot",
    version: VERSION,
    producer: version,
    node,
    kernel: Deno.osRelease(),
    taken: new Date().toISOString(),
  };
  const chosen = usable(() => choose(around.found, wanted));
  const all = around.found.map(({ subject }) => subject);
  yield* snapshotText(head, chosen, all, around.missing);
}
