/**
 * Tells of a snapshot that is not complete while it passes by, so that nobody takes one home that
 * cannot answer: `podskoop collect` writes lines, and each namespace is one.
 *
 * @module
 */
import { printable } from "../log.ts";
import type { Terminal } from "./terminal.ts";

/** Within a text of the document its quotes would have backslashes. */
const LACKS = /"missing":\[\{"part":"((?:[^"\\]|\\.)*)","because":"((?:[^"\\]|\\.)*)"/;
const BECAUSE_CHARACTERS_MAX = 300;

/** The same pieces; at their end, what the snapshot lacks is told on standard error. */
export async function* tellingMissing(
  pieces: AsyncIterable<string>,
  terminal: Pick<Terminal, "err">,
): AsyncGenerator<string> {
  let line: string[] = [];
  let lacking = 0;
  let first: string | undefined;
  const look = (text: string) => {
    const [found, part = "", because = ""] = LACKS.exec(text) ?? [];
    if (found === undefined) return;
    lacking++;
    first ??= `${part}: ${because.replaceAll(/\\(.)/g, "$1").slice(0, BECAUSE_CHARACTERS_MAX)}`;
  };
  for await (const piece of pieces) {
    yield piece;
    const [rest = "", ...lines] = piece.split("\n");
    line.push(rest);
    for (const next of lines) {
      look(line.join(""));
      line = [next];
    }
  }
  look(line.join(""));
  if (first === undefined) return;
  const places = lacking === 1 ? "one place" : `${lacking} places`;
  terminal.err(
    printable(`The snapshot is not complete: something is missing in ${places}, first ${first}`) +
      "\n",
  );
}
