/**
 * `podskoop probes`: what exists, what runs, and why something does not.
 *
 * @module
 */
import { Command } from "commander";
import { jsonText } from "../routes/answer.ts";
import { statusShape } from "../routes/shapes.ts";
import type { Status, UnitStatus } from "../surface.ts";
import { type UnitLine, unitLines } from "./cards.ts";
import { AgentClient, type ClientOptions, NoAgentFailure, withClientOptions } from "./client.ts";
import { withExamples } from "./program.ts";
import { type Colour, type Column, table, type Terminal, wrap } from "./terminal.ts";

interface ProbesOptions extends ClientOptions {
  readonly json?: boolean;
}

/** Lists probes and collectors with their state. */
export function probesCommand(terminal: Terminal): Command {
  const command = withClientOptions(
    new Command("probes")
      .description("probes and collectors: what exists, what runs, and why something does not")
      .option("--json", "as JSON"),
  ).action(async (options: ProbesOptions) => {
    using client = new AgentClient(options);
    const lines = await unitLines();
    let status: Status | undefined;
    try {
      status = await client.json("/status", statusShape);
    } catch (error) {
      if (!(error instanceof NoAgentFailure)) throw error;
      terminal.err(`No agent is running; this is what this podskoop has. ${error.message}\n`);
    }
    const units = unitStates(lines, status);
    if (options.json === true) terminal.out(`${jsonText(units, 2)}\n`);
    else terminal.out(probesText(units, terminal));
  });
  return withExamples(
    command,
    ["What does not run, and why", "podskoop probes --json | jq '.[] | select(.because)'"],
  );
}

/** A unit, and what became of each half of it. */
export interface UnitState {
  readonly name: string;
  readonly kind: "probe" | "collector" | "unknown";
  readonly summary: string;
  /** `running`, …; `off` when it is not asked for, `none` when it gives none of that. */
  readonly metrics: string;
  readonly events: string;
  readonly because?: string;
  readonly hooks?: string;
  readonly passedOver?: UnitStatus["passedOver"];
}

/** The units of this program and of the agent, which may be of another version. */
export function unitStates(
  lines: readonly UnitLine[],
  status: Status | undefined,
): readonly UnitState[] {
  const known = new Map(lines.map((line) => [line.card.name, line]));
  const names = new Set(
    status === undefined ? known.keys() : [
      ...status.available_probes.metrics,
      ...status.available_probes.event,
    ],
  );
  return [...names].sort().map((name): UnitState => {
    const line = known.get(name);
    const metrics = status?.inuse_probes.metrics.find((unit) => unit.name === name);
    const events = status?.inuse_probes.event.find((unit) => unit.name === name);
    const gives = status === undefined ? line?.card.gives : {
      metrics: status.available_probes.metrics.includes(name),
      events: status.available_probes.event.includes(name),
    };
    // Both halves are one loaded thing; either may be the one that says so.
    const because = metrics?.because ?? events?.because;
    const hooks = metrics?.hooks ?? events?.hooks;
    const passedOver = metrics?.passedOver ?? events?.passedOver;
    return {
      name,
      kind: line?.kind ?? "unknown",
      summary: line?.summary ?? "",
      metrics: stateOf(gives?.metrics, metrics, status, line?.card.byDefault.metrics),
      events: stateOf(gives?.events, events, status, line?.card.byDefault.events),
      ...(because === undefined ? {} : { because }),
      ...(hooks === undefined ? {} : { hooks }),
      ...(passedOver === undefined || passedOver.length === 0 ? {} : { passedOver }),
    };
  });
}

function stateOf(
  gives: boolean | undefined,
  unit: UnitStatus | undefined,
  status: Status | undefined,
  byDefault: boolean | undefined,
): string {
  if (gives !== true) return "none";
  if (status === undefined) return byDefault === true ? "default" : "off";
  return unit?.state.toLowerCase() ?? "off";
}

/** Colour of a state. */
export function stateColour(state: string): Colour | undefined {
  switch (state) {
    case "running":
      return "green";
    case "degraded":
    case "late":
      return "yellow";
    case "failed":
      return "red";
    case "off":
    case "none":
    case "stopped":
    case "absent":
      return "dim";
    default:
      return undefined;
  }
}

const COLUMNS: readonly Column[] = [
  { title: "NAME" },
  { title: "METRICS", colour: stateColour },
  { title: "EVENTS", colour: stateColour },
  { title: "TELLS", wrap: true },
];

/** The table, and below it each reason in full. */
export function probesText(units: readonly UnitState[], terminal: Terminal): string {
  const shown = units.map(({ name, metrics, events, summary }) => [
    name,
    metrics,
    events === "none" ? "-" : events,
    summary,
  ]);
  const reasons = units.flatMap(({ name, because, passedOver = [] }) => [
    ...(because === undefined ? [] : [`${name}: ${because}`]),
    ...passedOver.map((set) => `${name}: passed over ${set.hooks}, as ${set.because}`),
  ]);
  const width = terminal.columns ?? 80;
  const text = reasons.map((reason) => `${wrap(reason, width, "  ")}\n`).join("");
  return table(COLUMNS, shown, terminal) + (text === "" ? "" : `\n${text}`);
}
