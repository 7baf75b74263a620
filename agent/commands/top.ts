/**
 * `podskoop top`: what each pod's network does now.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { printable } from "../log.ts";
import { jsonText } from "../routes/answer.ts";
import { AgentClient, type ClientOptions, withClientOptions } from "./client.ts";
import { withExamples } from "./program.ts";
import { runScreen } from "./screen.ts";
import type { Terminal } from "./terminal.ts";
import {
  type Figure,
  FIGURE_NAMES,
  figureOf,
  FIGURES,
  figureTable,
  headline,
  type Reading,
  readingOf,
  type Row,
  rows,
  sorted,
} from "./top_figures.ts";

const INTERVAL_SECONDS = 2;
const INTERVAL_SECONDS_MIN = 0.2;
const INTERVAL_SECONDS_MAX = 3_600;

/** What the command line says. */
export interface TopOptions extends ClientOptions {
  readonly interval: number;
  readonly sort: Figure;
  readonly pod?: string;
  readonly once?: boolean;
  readonly json?: boolean;
}

/** Shows a live table of pods; a letter chooses what it is sorted by. */
export function topCommand(terminal: Terminal): Command {
  const names = FIGURE_NAMES.join(", ");
  const command = withClientOptions(
    new Command("top")
      .description(
        "live table of each pod's traffic, drops, retransmissions, resets and slow reads",
      )
      .option("--pod <name>", "only this pod, as NAMESPACE/NAME or NAME; host is the node itself")
      .option("--interval <seconds>", "time between readings", parseInterval, INTERVAL_SECONDS)
      .addOption(
        new Option("--sort <figure>", `what comes first: ${names}`)
          .default("rx", "rx")
          .argParser(parseFigure),
      )
      .option("--once", "print one table and end")
      .option("--json", "print one table as JSON and end"),
  ).action((options: TopOptions) => top(options, terminal));
  return withExamples(
    command,
    ["Who drops packets", "podskoop top --sort drops"],
    ["One reading over ten seconds, for a script", "podskoop top --json --interval 10"],
  );
}

/** Prints one table, or shows it until it is ended. */
export async function top(options: TopOptions, terminal: Terminal): Promise<void> {
  using client = new AgentClient(options);
  const redraws = terminal.columns !== undefined && terminal.dumb !== true;
  if (options.once === true || options.json === true || !redraws) {
    const before = await read(client);
    await new Promise((resolve) => setTimeout(resolve, options.interval * 1_000));
    const found = rows(before, await read(client));
    const shown = sorted(found, options.sort, options.pod);
    if (options.json === true) terminal.out(`${jsonText(shown.map(rounded), 2)}\n`);
    else terminal.out(figureTable(shown, options.sort, terminal));
    if (shown.length === 0 && options.pod !== undefined) {
      terminal.err(printable(`No pod of this node is called "${options.pod}"`) + "\n");
    }
    return;
  }
  await live(client, options, terminal);
}

/** A figure's letter: what the table is then sorted by. */
const LETTERS: Readonly<Record<string, Figure>> = {
  b: "rx",
  t: "tx",
  p: "packets",
  d: "drops",
  r: "retransmits",
  s: "resets",
  w: "slow",
};

async function live(client: AgentClient, options: TopOptions, terminal: Terminal): Promise<void> {
  let by = options.sort;
  let before = await read(client);
  let shown: Row[] = [];
  let problem: string | undefined;
  let first = true;
  await runScreen({
    everyMilliseconds: options.interval * 1_000,
    async refresh() {
      try {
        const after = await read(client);
        shown = rows(before, after);
        before = after;
        problem = undefined;
        first = false;
      } catch (error) {
        // An agent that is restarted is back soon; the last figures stay, with what is wrong.
        problem = error instanceof Error ? error.message : String(error);
      }
    },
    key(letter) {
      by = LETTERS[letter] ?? by;
      return letter === "q";
    },
    draw(lines) {
      const head = [
        `podskoop top   ${client.where}   every ${options.interval} s`,
        `${new Date().toTimeString().slice(0, 8)}   ${
          first ? "reading …" : `${shown.length} pod${shown.length === 1 ? "" : "s"}`
        }`,
      ];
      const keys = Object.entries(LETTERS).map(([letter, name]) => `${letter} ${name}`);
      const wanted = sorted(shown, by, options.pod).slice(0, Math.max(1, lines - 4));
      return headline(head, terminal) +
        headline([problem ?? `sort: ${keys.join("  ")}   q quit`], {
          columns: terminal.columns,
          colour: false,
        }) +
        figureTable(wanted, by, terminal);
    },
  }, terminal);
}

async function read(client: AgentClient): Promise<Reading> {
  const text = await client.text("/metrics?names=podskoop", { accept: "text/plain" });
  return readingOf(text, performance.now());
}

/** Figures a second have no meaning beyond the third digit after the point. */
function rounded(row: Row): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(row).filter(([, value]) => !Number.isNaN(value)).map(([name, value]) => [
      name,
      typeof value === "number" ? Math.round(value * 1_000) / 1_000 : value,
    ]),
  );
}

function parseInterval(text: string): number {
  const seconds = Number(text);
  if (seconds >= INTERVAL_SECONDS_MIN && seconds <= INTERVAL_SECONDS_MAX) return seconds;
  throw new InvalidArgumentError(
    `It must be a number of seconds from ${INTERVAL_SECONDS_MIN} to ${INTERVAL_SECONDS_MAX}`,
  );
}

function parseFigure(text: string): Figure {
  const figure = figureOf(text);
  if (figure !== undefined) return figure;
  throw new InvalidArgumentError(`It must be one of ${Object.keys(FIGURES).join(", ")}`);
}
