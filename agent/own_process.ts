/**
 * This program as a process beside the agent: for work that takes seconds of a CPU, more memory
 * than the agent has, or threads that enter namespaces.
 *
 * @module
 */

/** Starts a command of this program, all of its three streams piped. */
export function startOwn(command: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...Deno.build.standalone ? [] : ["run", "-A", new URL("../main.ts", import.meta.url).href],
      ...command,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
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
