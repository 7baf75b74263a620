/**
 * Wraps comments that are wider than 100 columns, which `deno fmt` and `clang-format` leave alone.
 *
 * Only the paragraph, list item or tag with the long line changes. Tables, examples and comments
 * behind code stay as they are, for a person to break.
 *
 * Usage: deno run -A tools/wrap.ts [FILE…]      every .ts, .c and .h file without any
 *
 * @module
 */
const COLUMNS_MAX = 100;
const TAB_COLUMNS = 8;

/** A line of a comment that is prose: what stands before the words, and the words. */
interface Prose {
  readonly prefix: string;
  /** Before the lines that go on with it: deeper, for an item of a list. */
  readonly hanging: string;
  readonly words: readonly string[];
}

/** The text with its long comments wrapped. */
export function wrapped(text: string): string {
  const lines = openedUp(text.split("\n"));
  const out: string[] = [];
  for (let at = 0; at < lines.length;) {
    const first = prose(lines[at]);
    if (first === undefined) {
      out.push(lines[at] ?? "");
      at += 1;
      continue;
    }
    const paragraph = [first];
    for (let next = prose(lines[at + paragraph.length]); next !== undefined;) {
      if (next.prefix !== first.hanging || isItem(next)) break;
      paragraph.push(next);
      next = prose(lines[at + paragraph.length]);
    }
    const before = lines.slice(at, at + paragraph.length);
    const long = before.some((line) => columns(line) > COLUMNS_MAX);
    out.push(...(long ? filled(paragraph) : before));
    at += paragraph.length;
  }
  return out.join("\n");
}

/** Gives a comment that is too long for its one line the form with several. */
function openedUp(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const [, indent, start, words] = /^([ \t]*)(\/\*\*?) (.*) \*\/$/.exec(line) ?? [];
    if (words === undefined || columns(line) <= COLUMNS_MAX) return [line];
    return [`${indent}${start}`, `${indent} * ${words}`, `${indent} */`];
  });
}

function prose(line: string | undefined): Prose | undefined {
  const [, prefix, rest] = /^([ \t]*(?:\/\/|\*) (?: {2})?)(\S.*)$/.exec(line ?? "") ?? [];
  if (prefix === undefined || rest === undefined) return undefined;
  // A table, a fence, an instruction to a tool, the last line of a comment.
  if (/^(\||```|deno-|<reference|shellcheck|SPDX)/.test(rest)) return undefined;
  if (rest.endsWith("*/")) return undefined;
  const words = rest.split(/\s+/);
  return { prefix, hanging: isItem({ words }) ? `${prefix}  ` : prefix, words };
}

function isItem({ words }: Pick<Prose, "words">): boolean {
  return /^(-|\*|\d+\.|@\w+)$/.test(words[0] ?? "");
}

function filled(paragraph: readonly Prose[]): string[] {
  const { prefix = "", hanging = "" } = paragraph[0] ?? {};
  const out: string[] = [];
  let line = "";
  let empty = true;
  for (const word of paragraph.flatMap(({ words }) => words)) {
    if (!empty && columns(`${line} ${word}`) > COLUMNS_MAX) {
      out.push(line);
      line = "";
      empty = true;
    }
    line = empty ? `${out.length === 0 ? prefix : hanging}${word}` : `${line} ${word}`;
    empty = false;
  }
  return [...out, line];
}

function columns(line: string): number {
  let width = 0;
  for (const character of line) {
    width += character === "\t" ? TAB_COLUMNS - width % TAB_COLUMNS : 1;
  }
  return width;
}

async function sources(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if ([".git", "dist", "node_modules", "testdata"].includes(name)) continue;
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await sources(path));
    else if (/\.(ts|c|h)$/.test(name)) found.push(path);
  }
  return found.sort();
}

if (import.meta.main) {
  for (const path of Deno.args.length > 0 ? Deno.args : await sources(".")) {
    const text = await Deno.readTextFile(path);
    const better = wrapped(text);
    if (better !== text) await Deno.writeTextFile(path, better);
  }
}
