/**
 * Runs a command line: what all commands share about help, mistakes and exit codes.
 *
 * @module
 */
import { type Command, CommanderError } from "commander";
import { Failure, type Terminal } from "./terminal.ts";

/** Help is for reading: wider lines are not. */
const HELP_COLUMNS_MAX = 100;
const HELP_COLUMNS = 80;

/** Exit codes. */
const FAILED = 1;
const MISUSED = 2;

/**
 * Runs the command that `args` names, and gives the exit code: 0; 1 for what did not work; 2 for a
 * command line that makes no sense, which is said with what was probably meant.
 */
export async function runProgram(
  program: Command,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  settle(program, terminal);
  try {
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : MISUSED;
    // Whoever read the output has seen enough, as `head` has.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    if (!(error instanceof Failure)) {
      terminal.err(`podskoop: ${error instanceof Error ? error.stack ?? error : error}\n`);
      return FAILED;
    }
    if (error.message !== "") terminal.err(`podskoop: ${error.message}\n`);
    return error.exitCode;
  }
}

/** Gives a command and all below it the same manners. */
function settle(command: Command, terminal: Terminal): void {
  const columns = () => Math.min(terminal.columns ?? HELP_COLUMNS, HELP_COLUMNS_MAX);
  command
    .exitOverride()
    .configureHelp({ sortOptions: false })
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      getOutHelpWidth: columns,
      getErrHelpWidth: columns,
      getOutHasColors: () => terminal.colour,
      getErrHasColors: () => false,
    });
  command.hook("preAction", (_, action) => refuseEmpty(action));
  command.showHelpAfterError(`Run '${fullName(command)} --help' for what it takes.`);
  for (const each of command.commands) settle(each, terminal);
}

/**
 * `--pod "$POD"` of a script in which POD is not set would ask about every pod, and a node would go
 * by no name.
 */
function refuseEmpty(command: Command): void {
  for (const option of command.options) {
    const name = option.attributeName();
    if (option.hidden || command.getOptionValueSource(name) !== "cli") continue;
    const value: unknown = command.getOptionValue(name);
    if (value !== "" && !(Array.isArray(value) && value.includes(""))) continue;
    command.error(`error: option '${option.flags}' argument '' is invalid. It must not be empty`);
  }
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

/** An example in a command's help. */
export type Example = readonly [what: string, line: string];

/** Shows examples below a command's help. */
export function withExamples(command: Command, ...examples: readonly Example[]): Command {
  const lines = examples.flatMap(([what, line]) => [`  ${what}:`, `    ${line}`]);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}
