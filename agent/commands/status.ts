/**
 * `podskoop status`: how the agent is.
 *
 * @module
 */
import { Command } from "commander";
import { printable } from "../log.ts";
import { jsonText } from "../routes/answer.ts";
import { statusShape } from "../routes/shapes.ts";
import type { Status, UnitStatus } from "../surface.ts";
import { AgentClient, type ClientOptions, withClientOptions } from "./client.ts";
import { stateColour } from "./probes.ts";
import { withExamples } from "./program.ts";
import { shortNumber } from "./top_figures.ts";
import { paint, type Terminal, wrap } from "./terminal.ts";

interface StatusOptions extends ClientOptions {
  readonly json?: boolean;
}

/** Tells how the agent is. */
export function statusCommand(terminal: Terminal): Command {
  const command = withClientOptions(
    new Command("status")
      .description(
        "the running agent: its units, sinks, store and configuration, and what it lacks",
      )
      .option("--json", "as JSON, just as /status answers"),
  ).action(async (options: StatusOptions) => {
    using client = new AgentClient(options);
    const status = await client.json("/status", statusShape);
    terminal.out(
      options.json === true ? `${jsonText(status, 2)}\n` : statusText(status, terminal, Date.now()),
    );
  });
  return withExamples(
    command,
    ["Of another node", "podskoop status --agent http://10.0.0.5:9102"],
  );
}

/** The status in words; `now` is in milliseconds since the epoch. */
export function statusText(status: Status, terminal: Terminal, now: number): string {
  const { kernel, store, config, inuse_probes: inUse } = status;
  const units = merged([...inUse.metrics, ...inUse.event]);
  const lines: [string, string][] = [
    ["agent", `podskoop ${status.version} on ${status.node}, up ${age(status.started, now)}`],
    ["kernel", `${kernel.release}, ${kernel.btf ? "with BTF" : "without BTF: no probe can run"}`],
    ["config", config.error === undefined ? config.origin : `${config.origin}: ${config.error}`],
    ["namespaces", `${status.namespaces}, ${status.pods} of them pods`],
    ["units", summary(units, terminal)],
    ...units.filter(({ state }) => state !== "Running").map((unit) => unitLine(unit, terminal)),
    ...status.sources.map((unit) => unitLine(unit, terminal, "names by ")),
    ["store", `${store.events} events, ${shortNumber(store.bytes)}B${reason(store, terminal)}`],
    ...status.sinks.map((sink): [string, string] => [
      `sink ${sink.name}`,
      `${sink.delivered} delivered, ${sink.lost} lost${reason(sink, terminal)}`,
    ]),
    ...status.missing.map(({ what, disables, remedy }): [string, string] => [
      "missing",
      `${what}, which disables ${disables}: ${remedy}`,
    ]),
  ];
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  const room = (terminal.columns ?? 80) - width;
  return lines.map(([name, text]) => {
    const indent = " ".repeat(width);
    return `${printable(name).padEnd(width)}${
      wrap(plain(text), room, "").replaceAll("\n", `\n${indent}`)
    }\n`;
  }).join("");
}

/** Without control characters, but with the colours that were put in here. */
function plain(text: string): string {
  // deno-lint-ignore no-control-regex -- the escape of a colour
  return text.split(/(\x1b\[\d+m)/).map((part, index) => index % 2 === 1 ? part : printable(part))
    .join("");
}

function merged(units: readonly UnitStatus[]): readonly UnitStatus[] {
  return [...new Map(units.map((unit) => [`${unit.name} ${unit.state}`, unit])).values()];
}

function summary(units: readonly UnitStatus[], terminal: Terminal): string {
  const counts = new Map<string, number>();
  for (const { state } of units) counts.set(state, (counts.get(state) ?? 0) + 1);
  const words = [...counts].map(([state, count]) => {
    const word = state.toLowerCase();
    const how = stateColour(word);
    return `${count} ${how === undefined ? word : paint(terminal, how, word)}`;
  });
  return words.length === 0 ? "none" : words.join(", ");
}

function unitLine(unit: UnitStatus, terminal: Terminal, before = ""): [string, string] {
  return [`  ${before}${unit.name}`, stateWord(unit.state, terminal) + because(unit)];
}

function because({ because }: Pick<UnitStatus, "because">): string {
  return because === undefined ? "" : `: ${because}`;
}

/** What is to be said of something that should simply run. */
function reason(unit: UnitStatus, terminal: Terminal): string {
  return unit.state === "Running" ? "" : `; ${stateWord(unit.state, terminal)}${because(unit)}`;
}

function stateWord(state: string, terminal: Terminal): string {
  const word = state.toLowerCase();
  const how = stateColour(word);
  return how === undefined ? word : paint(terminal, how, word);
}

const AGES = [[86_400, "d"], [3_600, "h"], [60, "min"]] as const;

/** `3 d`, `17 min`, `5 s`. */
function age(since: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1_000));
  for (const [size, word] of AGES) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${word}`;
  }
  return Number.isNaN(seconds) ? "for an unknown time" : `${seconds} s`;
}
