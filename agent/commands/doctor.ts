/**
 * `podskoop doctor`: whether this node has what podskoop needs, and what to do about what it lacks.
 *
 * @module
 */
import { Command } from "commander";
import { CONFIG_FILE, defaultConfig } from "../config/defaults.ts";
import { readConfig } from "../config/read.ts";
import { readText } from "../config/watch.ts";
import { printable } from "../log.ts";
import { jsonText } from "../routes/answer.ts";
import { unitLines } from "./cards.ts";
import { type Check, fail, type Finding, ok, type Places, warn } from "./doctor/finding.ts";
import {
  btf,
  capabilities,
  cgroups,
  hostPid,
  kernel,
  kptrRestrict,
  lockdown,
  time,
  tracefs,
  unprivilegedBpf,
} from "./doctor/kernel_checks.ts";
import { type Node, thisNode } from "./doctor/node.ts";
import { bpffs, data, pins, port, socket } from "./doctor/place_checks.ts";
import { bpftool, conntrack, iproute2, runtimes } from "./doctor/tool_checks.ts";
import { withExamples } from "./program.ts";
import { type Colour, Failure, paint, type Terminal, wrap } from "./terminal.ts";

/** In the order in which each needs the ones before. */
const CHECKS: readonly Check[] = [
  ...[kernel, btf, lockdown, capabilities, hostPid, cgroups],
  ...[bpffs, pins, bpftool, tracefs, kptrRestrict, unprivilegedBpf],
  ...[data, socket, port, iproute2, conntrack, runtimes, time],
];

interface DoctorOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** Checks this node; ends with 1 when something that is needed is missing. */
export function doctorCommand(terminal: Terminal): Command {
  const command = new Command("doctor")
    .description("check this node: kernel, rights, tools, mounts, and what to do about each miss")
    .option("-c, --config <file>", `configuration to check, instead of ${CONFIG_FILE}`)
    .option("--json", "as JSON")
    .action(async ({ config, json }: DoctorOptions) => {
      const { places, finding } = await configuration(config);
      const findings = [finding, ...await examine(thisNode, places)];
      if (json === true) terminal.out(`${jsonText(findings, 2)}\n`);
      else terminal.out(findingsText(findings, terminal));
      if (findings.some(({ state }) => state === "fail")) throw new Failure("");
    });
  return withExamples(
    command,
    ["Before an upgrade of a configuration", "podskoop doctor --config new.yaml"],
  );
}

/** Makes every check; one that breaks says so in its place. */
export async function examine(node: Node, places: Places): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const check of CHECKS) {
    try {
      found.push(...[await check(node, places)].flat());
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      found.push(warn(check.name, `Cannot check: ${because}`, "this check", "look by hand"));
    }
  }
  return found;
}

/** The configuration that the agent would start with, and whether it would. */
async function configuration(
  file: string | undefined,
): Promise<{ readonly places: Places; readonly finding: Finding }> {
  const cards = (await unitLines()).map(({ card }) => card);
  const defaults = defaultConfig(cards);
  const name = "configuration";
  const path = file ?? CONFIG_FILE;
  let text: string;
  try {
    text = await readText(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && file === undefined) {
      return { places: defaults, finding: ok(name, "none, so the defaults") };
    }
    const because = error instanceof Error ? error.message : String(error);
    const remedy = "name one that is there, or none";
    return {
      places: defaults,
      finding: fail(name, `Cannot read "${path}": ${because}`, "the agent", remedy),
    };
  }
  const read = readConfig(text, path, cards, {}, "lenient");
  if ("errors" in read) {
    const finding = fail(name, read.errors.join("\n"), "the agent", "correct it");
    return { places: defaults, finding };
  }
  if (read.warnings.length === 0) return { places: read.config, finding: ok(name, path) };
  const finding = warn(name, read.warnings.join("\n"), "what they name", "correct it");
  return { places: read.config, finding };
}

const COLOURS: Readonly<Record<Finding["state"], Colour>> = {
  ok: "green",
  warn: "yellow",
  fail: "red",
};

/** The findings, at most as wide as the terminal; each that is not ok with what to do. */
export function findingsText(findings: readonly Finding[], terminal: Terminal): string {
  const names = Math.max(...findings.map(({ name }) => name.length));
  const indent = " ".repeat(names + 8);
  const room = (terminal.columns ?? 80) - indent.length;
  const lines = (text: string) =>
    text.split("\n").map((line) => wrap(printable(line), room)).join("\n")
      .replaceAll("\n", `\n${indent}`);
  const text = findings.map(({ name, state, found, disables, remedy }) =>
    [
      `${paint(terminal, COLOURS[state], state.padEnd(4))}  ${name.padEnd(names)}  ${lines(found)}`,
      ...disables === undefined ? [] : [`${indent}${lines(`disables: ${disables}`)}`],
      ...remedy === undefined ? [] : [`${indent}${lines(`to do: ${remedy}`)}`],
    ].join("\n")
  ).join("\n");
  const count = (state: Finding["state"]) =>
    findings.filter((finding) => finding.state === state).length;
  return `${text}\n\n${count("ok")} ok, ${count("warn")} warn, ${count("fail")} fail\n`;
}
