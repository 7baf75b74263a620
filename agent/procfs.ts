/**
 * Reads the texts of `/proc`: their lines and their numbers, with errors that say where.
 *
 * Everything the kernel prints there ends in a newline, so a text that does not was cut short, and
 * its last number may lack digits. Numbers are doubles, as in Prometheus: above 2^53 they are
 * rounded to the nearest one.
 *
 * @module
 */

/** Digits of 2^64 - 1, the largest number that the kernel prints. */
const DIGITS_MAX = 20;
/** Characters of a text that an error quotes. */
const QUOTED_MAX = 40;

/**
 * The lines of a file. Throws a SyntaxError for an empty text, and for one that ends inside a line.
 */
export function linesOf(file: string, text: string): readonly string[] {
  if (text === "") throw nonsense(file, 1, "the file is empty");
  const lines = text.split("\n");
  const rest = lines.pop();
  if (rest !== "") {
    throw nonsense(file, lines.length + 1, `the text ends inside of ${quoted(rest)}`);
  }
  return lines;
}

/** A whole number. Throws a SyntaxError for anything else. */
export function integer(word: string | undefined, file: string, line: number): number {
  if (word === "0") return 0;
  if (word !== undefined && word.startsWith("-")) return -count(word.slice(1), file, line);
  return count(word, file, line);
}

/** A whole number that cannot be negative. Throws a SyntaxError for anything else. */
export function count(word: string | undefined, file: string, line: number): number {
  if (word === "0") return 0;
  if (word === undefined || word.length > DIGITS_MAX || !isDigits(word)) {
    throw nonsense(file, line, `expected a number, found ${quoted(word)}`);
  }
  return Number(word);
}

const DIGIT_ZERO = 48;
const DIGIT_NINE = 57;

/** A regular expression takes several times as long; a scrape has a hundred thousand numbers. */
function isDigits(word: string): boolean {
  for (let at = 0; at < word.length; at++) {
    const code = word.charCodeAt(at);
    if (code < DIGIT_ZERO || code > DIGIT_NINE) return false;
  }
  return word !== "";
}

/** The error for a line, counted from 1, that makes no sense. */
export function nonsense(file: string, line: number, why: string): SyntaxError {
  return new SyntaxError(`Cannot parse line ${line} of "${file}": ${why}`);
}

/** A part of a text for an error: short, and with its control characters escaped. */
export function quoted(text: string | undefined): string {
  return text === undefined ? "nothing" : JSON.stringify(text.slice(0, QUOTED_MAX));
}
