/**
 * What commands are tested with: a terminal that remembers, and something that answers like an
 * agent.
 *
 * @module
 */
import { dirname, join } from "node:path";
import type { Terminal } from "@agent/commands/terminal.ts";

/** Keeps what is printed. */
export class FakeTerminal implements Terminal {
  stdout = "";
  stderr = "";
  readonly colour = false;

  constructor(readonly columns: number | undefined = undefined, readonly dumb = false) {}

  out(text: string): void {
    this.stdout += text;
  }

  err(text: string): void {
    this.stderr += text;
  }

  /** Waits for something to be printed, at most 10 s. */
  async until(there: () => boolean): Promise<void> {
    const end = Date.now() + 10_000;
    while (!there()) {
      if (Date.now() > end) throw new Error(`Cannot wait longer: ${this.stdout}${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Something that answers on a unix socket, in a folder of its own unless a path is given. */
export function serveUnix(
  answer: (request: Request) => Response | Promise<Response>,
  at?: string,
): AsyncDisposable & { readonly path: string } {
  const path = at ?? join(Deno.makeTempDirSync({ prefix: "podskoop-agent-" }), "podskoop.sock");
  Deno.mkdirSync(dirname(path), { recursive: true });
  const server = Deno.serve({ path, onListen: () => {} }, answer);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(dirname(path), { recursive: true });
    },
  };
}
