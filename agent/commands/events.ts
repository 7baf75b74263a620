/**
 * `podskoop events`: what has happened, and what happens.
 *
 * @module
 */
import { Command, InvalidArgumentError } from "commander";
import * as v from "valibot";
import { suggestion } from "../config/nearest.ts";
import type { Event } from "../events/event.ts";
import { lineOf } from "../events/text.ts";
import { printable } from "../log.ts";
import { jsonText } from "../routes/answer.ts";
import { typeOf } from "../routes/event_query.ts";
import { eventShape, eventsShape } from "../routes/shapes.ts";
import { AgentClient, type ClientOptions, NoAgentFailure, withClientOptions } from "./client.ts";
import { eventText } from "./event_text.ts";
import { readMessages } from "./messages.ts";
import { withExamples } from "./program.ts";
import { Failure, type Terminal } from "./terminal.ts";

/** After a broken connection the next try follows after the first of these, then the next, … */
const RETRY_MILLISECONDS = [500, 1_000, 2_000, 5_000] as const;
const LIMIT_MAX = 10_000;

/** What the command line says. */
export interface EventsOptions extends ClientOptions {
  readonly follow?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly type?: readonly string[];
  readonly namespace?: string;
  readonly pod?: string;
  readonly node?: string;
  readonly limit?: number;
  readonly json?: boolean;
  readonly text?: boolean;
}

/** Prints events of a running agent, past and live. */
export function eventsCommand(terminal: Terminal): Command {
  const command = withClientOptions(
    new Command("events")
      .description("events of a running agent: drops, resets, and whose they were")
      .option("-f, --follow", "go on with new events as they happen")
      .option("--since <time>", "from then on: 10m, 1h30m, 2026-01-31T09:30:00Z")
      .option("--until <time>", "until then")
      .option("-t, --type <type>", "only this type; may be repeated", repeated)
      .option("--pod <name>", "only this pod, as NAMESPACE/NAME or NAME")
      .option("--namespace <name>", "only this namespace's pods")
      .option("--node <name>", "only this node's events")
      .option("--limit <n>", "at most this many: the newest; with -f the first", parseLimit)
      .option("--json", "one JSON object a line")
      .option("--text", "one line of KEY=VALUE for each, as the predecessors had it"),
  ).action(async (options: EventsOptions) => {
    await tellUnknown(options.type ?? [], terminal);
    await events(options, terminal);
  });
  return withExamples(
    command,
    ["As they happen", "podskoop events -f"],
    [
      "Resets of one pod in the last ten minutes",
      [
        "podskoop events --since 10m --pod shop/cart-7f9c \\",
        "      --type TCPRESET_NOSOCK --type TCPRESET_ACTIVE",
      ].join("\n"),
    ],
    ["For jq", "podskoop events -f --json | jq .attributes.reason"],
  );
}

/** Prints the events that are asked for; ends when there are no more to come. */
export async function events(
  options: EventsOptions,
  terminal: Terminal,
  signal?: AbortSignal,
): Promise<void> {
  if (options.json === true && options.text === true) {
    throw new Failure("Cannot print --json and --text at once: choose one", 2);
  }
  if (options.follow === true && options.until !== undefined) {
    throw new Failure("Cannot follow events until a time: leave out --follow or --until", 2);
  }
  using client = new AgentClient(options);
  const print = printerOf(options, terminal);
  if (options.follow === true) return await follow(client, options, print, terminal, signal);
  const path = `/events?${queryOf(options, ["until", "limit"])}`;
  const page = await client.json(path, eventsShape);
  for (const event of page.events) print(event);
  if (page.events.length === 0) terminal.err("No events match\n");
  else if (page.cursor !== undefined) {
    terminal.err(`These are the newest ${page.events.length}; --limit N shows more\n`);
  }
}

/** A word that stands for no type matches nothing, and would be waited for in vain. */
async function tellUnknown(
  types: readonly string[],
  terminal: Pick<Terminal, "err">,
): Promise<void> {
  if (types.length === 0) return;
  const { unitLines } = await import("./cards.ts");
  const known = [...new Set((await unitLines()).flatMap((line) => line.types))];
  for (const type of types) {
    if (known.includes(typeOf(type))) continue;
    terminal.err(
      printable(`No event of this podskoop's has the type "${type}": ${suggestion(type, known)}`) +
        "\n",
    );
  }
}

function printerOf(options: EventsOptions, terminal: Terminal): (event: Event) => void {
  if (options.json === true) return (event) => terminal.out(`${jsonText(event)}\n`);
  if (options.text === true) return (event) => terminal.out(`${lineOf(event)}\n`);
  return (event) => terminal.out(eventText(event, terminal));
}

function queryOf(options: EventsOptions, more: readonly ("until" | "limit")[]): URLSearchParams {
  const query = new URLSearchParams();
  for (const key of ["since", "namespace", "pod", "node", ...more] as const) {
    const value = options[key];
    if (value !== undefined) query.set(key, String(value));
  }
  for (const type of options.type ?? []) query.append("type", type);
  return query;
}

/** Follows the stream, over broken connections and restarts of the agent, without a gap. */
async function follow(
  client: AgentClient,
  options: EventsOptions,
  print: (event: Event) => void,
  terminal: Terminal,
  signal?: AbortSignal,
): Promise<void> {
  const path = `/events/stream?${queryOf(options, [])}`;
  const state: Following = { last: "", printed: 0, failures: 0, answered: false };
  const ended = () => signal?.aborted === true;
  while (!ended()) {
    try {
      const headers = {
        accept: "text/event-stream",
        ...(state.last === "" ? {} : { "last-event-id": state.last }),
      };
      const response = await client.get(path, headers, signal);
      if (state.failures > 0) terminal.err(`Following ${client.where} again\n`);
      else if (!state.answered && terminal.columns !== undefined) {
        terminal.err(`Following ${client.where}; Ctrl-C ends\n`);
      }
      state.failures = 0;
      state.answered = true;
      if (response.body === null) continue;
      if (await printMessages(response.body, options, print, terminal, state)) return;
      // The agent has ended the stream: it stops, or starts anew.
      lost(state, client, terminal, "it ended the stream");
    } catch (error) {
      if (ended()) return;
      // The first try tells what is wrong; later on, it was right once and may be again.
      if (!state.answered || !canPass(error)) throw error;
      lost(state, client, terminal, error instanceof Error ? error.message : String(error));
    }
    await pause(RETRY_MILLISECONDS[Math.min(state.failures, RETRY_MILLISECONDS.length) - 1] ?? 0);
  }
}

interface Following {
  /** Id of the last event that was printed. */
  last: string;
  printed: number;
  /** Tries in a row that failed. */
  failures: number;
  answered: boolean;
}

/** Whether a failure may be over soon: no agent, or a connection that broke. */
function canPass(error: unknown): boolean {
  return error instanceof NoAgentFailure ||
    !(error instanceof Failure || error instanceof Deno.errors.BrokenPipe);
}

function lost(state: Following, client: AgentClient, terminal: Terminal, why: string): void {
  state.failures++;
  if (state.failures > 1) return;
  terminal.err(`Lost the agent at ${client.where}, trying again: ${why}\n`);
}

/** Prints what a stream brings; true once that is enough. */
async function printMessages(
  body: ReadableStream<Uint8Array>,
  { limit = Infinity }: EventsOptions,
  print: (event: Event) => void,
  terminal: Terminal,
  state: Following,
): Promise<boolean> {
  for await (const { type, data, id } of readMessages(body)) {
    if (type === "lost") {
      terminal.err(`${lossText(data)}\n`);
      continue;
    }
    const event = v.safeParse(eventShape, JSON.parse(data));
    if (!event.success) {
      throw new Failure(`Cannot read event ${id}: is the agent a podskoop of another version?`);
    }
    print(event.output);
    state.last = id;
    if (++state.printed >= limit) return true;
  }
  return false;
}

const loss = v.object({ because: v.string() });

function lossText(data: string): string {
  const parsed = v.safeParse(loss, JSON.parse(data));
  return parsed.success ? parsed.output.because : "Events were lost";
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function repeated(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...before ?? [], value];
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new InvalidArgumentError(`It must be a number from 1 to ${LIMIT_MAX}`);
}
