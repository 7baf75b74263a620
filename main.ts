/** podskoop's command line: its table of contents. */
import { Command } from "commander";
import { agentCommand, type RunAgent } from "./agent/commands/agent.ts";
import { collectCommand } from "./agent/commands/collect.ts";
import { diagnoseCommand } from "./agent/commands/diagnose.ts";
import { doctorCommand } from "./agent/commands/doctor.ts";
import { eventsCommand } from "./agent/commands/events.ts";
import { inspectorProgram } from "./agent/commands/inspector.ts";
import { probesCommand } from "./agent/commands/probes.ts";
import { runProgram } from "./agent/commands/program.ts";
import { skoopProgram } from "./agent/commands/skoop.ts";
import { statusCommand } from "./agent/commands/status.ts";
import { openTerminal, type Terminal } from "./agent/commands/terminal.ts";
import { topCommand } from "./agent/commands/top.ts";
import { versionCommand } from "./agent/commands/version.ts";
import { invokedAs, version } from "./agent/version.ts";

// Imported when it runs: the other commands start without it.
const run: RunAgent = async (options) => await (await import("./agent/run.ts")).runAgent(options);

/** The program that goes by a name; links called as the predecessor's programs are those. */
export function programOf(name: string, terminal: Terminal): Command {
  if (name === "inspector") return inspectorProgram(run, terminal);
  if (name === "skoop") return skoopProgram(terminal);
  return new Command("podskoop")
    .description("Tells whose packets this node drops and resets, and what its pods' networks do.")
    .version(version)
    .addCommand(agentCommand(run))
    .addCommand(eventsCommand(terminal))
    .addCommand(topCommand(terminal))
    .addCommand(probesCommand(terminal))
    .addCommand(statusCommand(terminal))
    .addCommand(collectCommand(terminal))
    .addCommand(diagnoseCommand(terminal))
    .addCommand(doctorCommand(terminal))
    .addCommand(versionCommand(terminal));
}

if (import.meta.main) {
  const terminal = openTerminal();
  Deno.exit(await runProgram(programOf(invokedAs(), terminal), Deno.args, terminal));
}
