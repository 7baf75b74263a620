/**
 * Tells who looks on that work goes on which takes longer than one expects.
 *
 * @module
 */
import type { Terminal } from "./terminal.ts";

/** Said first after so long, then each time as much later. */
const FIRST_MILLISECONDS = 2_000;
const NEXT_MILLISECONDS = 10_000;

/** Says on standard error how long `what` has been going on, until it is disposed of. */
export function tellingWait(
  what: string,
  terminal: Pick<Terminal, "columns" | "err">,
  first = FIRST_MILLISECONDS,
  next = NEXT_MILLISECONDS,
): Disposable {
  const begun = performance.now();
  const tell = () => {
    const seconds = Math.round((performance.now() - begun) / 1_000);
    terminal.err(`${what}: ${seconds} s so far\n`);
    timer = setTimeout(tell, next);
  };
  let timer = terminal.columns === undefined ? undefined : setTimeout(tell, first);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
