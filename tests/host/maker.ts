/**
 * Namespaces that come and go by the hundred, made by one process beside a test.
 *
 * @module
 */

/** The process that makes namespaces, one order at a time. */
export class Maker implements AsyncDisposable {
  readonly #child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("./churn.ts", import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  readonly #orders = this.#child.stdin.getWriter();
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();
  readonly #reading = this.#read();

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#waiting.get(line)?.resolve();
    }
    for (const [order, { reject }] of this.#waiting) {
      reject(new Error(`Cannot do "${order}": the process that makes namespaces has ended`));
    }
  }

  /** Gives an order, and waits until it is done. */
  async do(order: string): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.set(order, done);
    await this.#orders.write(new TextEncoder().encode(`${order}\n`));
    await done.promise;
    this.#waiting.delete(order);
  }

  /**
   * One of many namespaces, from its making to its end: a fault, connections of its own, and as
   * many in the namespace `stays`. Every second one's are of IPv6.
   */
  async live(stays: string, index: number, connections: number): Promise<void> {
    const name = `${stays}-${index}`;
    const family = index % 2 === 0 ? 4 : 6;
    await this.do(`make ${name}`);
    await this.do(`fault${family} ${name}`);
    await this.do(`connect${family} ${name} ${connections}`);
    await this.do(`connect${family} ${stays} ${connections}`);
    await this.do(`remove ${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#orders.close();
    await this.#reading;
    await this.#child.status;
  }
}
