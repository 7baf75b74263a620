/**
 * The first look: a table of who is on the node, for a person who has just started the agent in a
 * terminal.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { defaultConfig } from "./config/defaults.ts";
import type { Agent, PodView } from "./surface.ts";

/** Rows shown; a node may have thousands. */
const ROWS_MAX = 20;

/** Writes the table, and where to go from here, to standard output. */
export async function overview(agent: Agent, url: string, socket: string): Promise<void> {
  const text = `${table(agent)}\n${hints(url, socket, calledAs())}`;
  await Deno.stdout.write(new TextEncoder().encode(text));
}

/** At most 80 columns wide. */
export function table(agent: Pick<Agent, "pods" | "status">): string {
  const pods = agent.pods().filter(({ goneAt }) => goneAt === undefined);
  const lines = [row("NAMESPACE", "POD", "KIND", "PROCESSES", "ADDRESSES")];
  for (const pod of pods.slice(0, ROWS_MAX)) {
    lines.push(row(
      pod.namespace === "" ? "-" : pod.namespace,
      pod.name === "" ? agent.status().node : pod.name,
      pod.kind,
      String(pod.pids.length),
      addressesOf(pod),
    ));
  }
  if (pods.length > ROWS_MAX) lines.push(`… and ${pods.length - ROWS_MAX} more: podskoop top`);
  const { inuse_probes: { event, metrics } } = agent.status();
  const units = [...new Set([...event, ...metrics].map(({ name, state }) => `${name} ${state}`))];
  const running = units.filter((unit) => unit.endsWith(" Running")).length;
  const rest = units.filter((unit) => !unit.endsWith(" Running"));
  const others = rest.length === 0 ? "" : `; ${rest.join(", ")}: podskoop probes says why`;
  lines.push("", `${running} of ${units.length} probes and collectors run${others}`);
  return `${lines.join("\n")}\n`;
}

function addressesOf({ addresses }: PodView): string {
  const shown = addresses.filter((address) => !/^(127\.|::1$|fe80:)/.test(address));
  const [first = "-"] = shown;
  return shown.length > 1 ? `${first} +${shown.length - 1}` : first;
}

const WIDTHS = [14, 26, 10, 10, 20] as const;

function row(...cells: readonly string[]): string {
  return cells.map((cell, index) => {
    const width = WIDTHS[index] ?? cell.length;
    const text = cell.length > width - 1 ? `${cell.slice(0, width - 2)}…` : cell;
    return text.padEnd(width);
  }).join("").trimEnd();
}

/** Where to go from here; lines that can be copied. */
export function hints(url: string, socket: string, program: string): string {
  const agent = socket === defaultConfig([]).socket ? "" : ` --agent unix:${socket}`;
  return [
    `Console   ${url}`,
    `Metrics   ${url}metrics`,
    `Events    ${program} events -f${agent}`,
    `Live      ${program} top${agent}`,
    "",
    "",
  ].join("\n");
}

/** What to type here to call this very program: its name, if that is what the shell finds by it. */
export function calledAs(
  program = Deno.execPath(),
  path = Deno.env.get("PATH") ?? "",
  folder = Deno.cwd(),
): string {
  const name = "podskoop";
  // Run from its source, the program is Deno.
  if (!program.endsWith(`/${name}`)) return name;
  const found = path.split(":").map((each) => `${each}/${name}`).find((file) => existsSync(file));
  if (found !== undefined && Deno.realPathSync(found) === program) return name;
  const inside = folder.endsWith("/") ? folder : `${folder}/`;
  return program.startsWith(inside) ? program.slice(inside.length) : program;
}
