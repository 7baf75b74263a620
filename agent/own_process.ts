/**
 * This program as a process beside the agent: for work that takes seconds of a CPU, more memory
 * than the agent has, or threads that enter namespaces.
 *
 * @module
 */

/** What the kernel puts behind the path of a program whose file has been replaced; proc(5). */
const REPLACED = / \(deleted\)$/;

/** Starts a command of this program, all of its three streams piped. */
export function startOwn(
  command: readonly string[],
  path: string = Deno.execPath(),
): Deno.ChildProcess {
  // While an upgrade waits for the agent's restart, what is there now does as well.
  const program = path.replace(REPLACED, "");
  try {
    return new Deno.Command(program, {
      args: [
        ...Deno.build.standalone ? [] : ["run", "-A", new URL("../main.ts", import.meta.url).href],
        ...command,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`Cannot run "${program}" as it is no longer there: restart the agent`, {
      cause: error,
    });
  }
}

/** Gives a process all that it is to read. One that ends before has an exit code that says why. */
export async function feed(child: Deno.ChildProcess, text: string): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch (error) {
    // By when it ended: the pipe is broken, or the stream is closed already.
    if (!(error instanceof Deno.errors.BrokenPipe || error instanceof TypeError)) throw error;
  }
}

/** Ends a process that may have ended by itself. */
export function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
