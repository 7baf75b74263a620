/** podskoop's command line: its table of contents. */
import { Command } from "commander";
import type { RunAgent } from "./agent/commands/agent.ts";
import { runProgram } from "./agent/commands/program.ts";
import { openTerminal, type Terminal } from "./agent/commands/terminal.ts";
import { invokedAs, version } from "./agent/version.ts";

const run: RunAgent = async (options) => await (await import("./agent/run.ts")).runAgent(options);

// Each is imported when it is asked for: an agent stays in memory for months, and would hold what
// all the others are made of, which is as much as its own.
const COMMANDS: Readonly<Record<string, (terminal: Terminal) => Promise<Command>>> = {
  agent: async () => (await import("./agent/commands/agent.ts")).agentCommand(run),
  events: async (to) => (await import("./agent/commands/events.ts")).eventsCommand(to),
  top: async (to) => (await import("./agent/commands/top.ts")).topCommand(to),
  probes: async (to) => (await import("./agent/commands/probes.ts")).probesCommand(to),
  status: async (to) => (await import("./agent/commands/status.ts")).statusCommand(to),
  collect: async (to) => (await import("./agent/commands/collect.ts")).collectCommand(to),
  diagnose: async (to) => (await import("./agent/commands/diagnose.ts")).diagnoseCommand(to),
  doctor: async (to) => (await import("./agent/commands/doctor.ts")).doctorCommand(to),
  version: async (to) => (await import("./agent/commands/version.ts")).versionCommand(to),
};

/**
 * The program that goes by a name; links called as the predecessor's programs are those. With
 * `first`, the first argument, it has that command alone, if there is one of that name.
 */
export async function programOf(
  name: string,
  terminal: Terminal,
  first?: string,
): Promise<Command> {
  if (name === "inspector") {
    return (await import("./agent/commands/inspector.ts")).inspectorProgram(run, terminal);
  }
  if (name === "skoop") return (await import("./agent/commands/skoop.ts")).skoopProgram(terminal);
  const program = new Command("podskoop")
    .description("Tells whose packets this node drops and resets, and what its pods' networks do.")
    .version(version);
  const asked = Object.entries(COMMANDS).filter(([command]) => command === first);
  for (const [, command] of asked.length > 0 ? asked : Object.entries(COMMANDS)) {
    program.addCommand(await command(terminal));
  }
  return program;
}

if (import.meta.main) {
  const terminal = openTerminal();
  const program = await programOf(invokedAs(), terminal, Deno.args[0]);
  Deno.exit(await runProgram(program, Deno.args, terminal));
}
