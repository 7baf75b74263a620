/**
 * Damages texts at random, for tests that a parser survives them.
 *
 * @module
 */

/** Random whole numbers below a bound (mulberry32). */
export type Random = (bound: number) => number;

/** A generator that gives the same numbers for the same seed. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

const NUMBERS = [
  ...["18446744073709551615", "18446744073709551616", "99999999999999999999", "9".repeat(400)],
  ...["-1", "-9223372036854775808", "-0", "+1", "1e308", "1e9999", "0x10", "1.5", "NaN", ""],
  ...["Infinity", "ffffffff", "0000000g", "٣", "１", " ", "\u0000"],
];

/** Bytes as text, as the agent reads them: what is not UTF-8 becomes U+FFFD. */
function binary(random: Random, length: number): string {
  return new TextDecoder().decode(Uint8Array.from({ length }, () => random(256)));
}

function withLines(text: string, change: (lines: string[]) => void): string {
  const lines = text.split("\n");
  change(lines);
  return lines.join("\n");
}

/** Ways to damage a text. */
const DAMAGES: readonly ((text: string, random: Random) => string)[] = [
  // A byte becomes another.
  (text, random) => {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > 0) bytes[random(bytes.length)] = random(256);
    return new TextDecoder().decode(bytes);
  },
  (text, random) => text.slice(0, random(text.length + 1)),
  (text, random) => text.slice(random(text.length + 1)),
  (text, random) => withLines(text, (lines) => lines.splice(random(lines.length), 1)),
  (text, random) =>
    withLines(text, (lines) => {
      const at = random(lines.length);
      lines.splice(at, 0, ...lines.slice(at, at + 1 + random(2)));
    }),
  (text, random) =>
    withLines(text, (lines) => lines.push(...lines.splice(random(lines.length), 1))),
  // A number becomes another, or nothing like one.
  (text, random) => {
    const numbers = [...text.matchAll(/-?[0-9a-f]+\b/g)];
    const found = numbers[random(Math.max(numbers.length, 1))];
    if (found === undefined) return text;
    const end = found.index + found[0].length;
    return text.slice(0, found.index) + NUMBERS[random(NUMBERS.length)] + text.slice(end);
  },
  // A word goes missing, or is there twice.
  (text, random) => {
    const words = text.split(" ");
    const at = random(words.length);
    words.splice(at, random(2), ...(random(2) === 0 ? [] : [words[at] ?? ""]));
    return words.join(" ");
  },
  (text, random) => {
    const at = random(text.length + 1);
    return text.slice(0, at) + binary(random, random(40)) + text.slice(at);
  },
  (_, random) => binary(random, random(400)),
  () => "",
  (text) => text.replaceAll("\n", "\r\n"),
  (text, random) => text + text.slice(0, random(text.length + 1)),
];

/** The text after one to three random damages. */
export function damaged(text: string, random: Random): string {
  let result = text;
  for (let times = 1 + random(3); times > 0; times--) {
    result = DAMAGES[random(DAMAGES.length)]?.(result, random) ?? result;
  }
  return result;
}
