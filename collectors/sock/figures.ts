/**
 * The lines of `net/sockstat` and `net/sockstat6`: a protocol, and pairs of a name and a number.
 *
 * @module
 */
import { integer, linesOf, nonsense, quoted } from "@agent/collector.ts";

/** One number. */
export interface Figure {
  /** Protocol and name, such as `TCP.inuse`; the protocol of IPv6 has the name of its twin. */
  readonly field: string;
  readonly value: number;
  readonly labels: { readonly family: "ipv4" | "ipv6" };
}

/** All numbers of a file. Throws a SyntaxError for a text that makes no sense. */
export function figuresOf(file: string, text: string): readonly Figure[] {
  const figures: Figure[] = [];
  const seen = new Set<string>();
  for (const [index, line] of linesOf(file, text).entries()) {
    const [heading = "", ...words] = line.split(" ");
    const [, protocol, six] = /^([A-Za-z]{1,32})(6?):$/.exec(heading) ?? [];
    if (protocol === undefined || words.length === 0 || words.length % 2 === 1) {
      throw nonsense(file, index + 1, `expected names and numbers, found ${quoted(line)}`);
    }
    for (let at = 0; at < words.length; at += 2) {
      const name = words[at] ?? "";
      const field = `${protocol}.${name}`;
      if (!/^[!-~]{1,32}$/.test(name)) {
        throw nonsense(file, index + 1, `${quoted(name)} is no name`);
      }
      if (seen.has(field)) throw nonsense(file, index + 1, `${quoted(field)} is there twice`);
      seen.add(field);
      figures.push({
        field,
        value: integer(words[at + 1], file, index + 1),
        labels: { family: six === "6" ? "ipv6" : "ipv4" },
      });
    }
  }
  return figures;
}
