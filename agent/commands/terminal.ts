/**
 * Where commands print: standard output and error, and what a person sees them on.
 *
 * @module
 */
import { printable } from "../log.ts";

const COLOURS = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 } as const;

/** How a word is shown where there is colour. */
export type Colour = keyof typeof COLOURS;

/** What commands print on; a test gives its own. */
export interface Terminal {
  /** Undefined when nobody looks: a pipe or a file gets whole lines. */
  readonly columns: number | undefined;
  readonly colour: boolean;
  /** Its cursor cannot be moved, so that nothing can be shown in place. */
  readonly dumb?: boolean;
  out(text: string): void;
  err(text: string): void;
}

/** The size of a terminal that does not know its own, such as a serial line. */
const SIZE_UNKNOWN = { columns: 80, rows: 24 } as const;

/** Standard output and error. */
export function openTerminal(): Terminal {
  const looked = Deno.stdout.isTerminal();
  const dumb = looked && (Deno.env.get("TERM") ?? "dumb") === "dumb";
  return {
    // Asked anew each time: a window can be resized.
    get columns() {
      return looked ? terminalSize().columns : undefined;
    },
    colour: looked && !dumb && (Deno.env.get("NO_COLOR") ?? "") === "",
    dumb,
    out: writeOut,
    err: (text) => writeAll(Deno.stderr, text),
  };
}

/** The terminal's size now; one that says 0 does not know. */
export function terminalSize(
  size: { readonly columns: number; readonly rows: number } = Deno.consoleSize(),
): { readonly columns: number; readonly rows: number } {
  return {
    columns: size.columns || SIZE_UNKNOWN.columns,
    rows: size.rows || SIZE_UNKNOWN.rows,
  };
}

/** A pipe whose reader has gone is another matter: it ends a command well. */
function writeOut(text: string): void {
  try {
    writeAll(Deno.stdout, text);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof Deno.errors.BrokenPipe) throw error;
    throw new Failure(`Cannot write to the standard output: ${error.message}`);
  }
}

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(to.writeSync(bytes));
}

/** A word in a colour, where there is colour. */
export function paint({ colour }: Pick<Terminal, "colour">, how: Colour, word: string): string {
  return colour ? `\x1b[${COLOURS[how]}m${word}\x1b[0m` : word;
}

/** What ends a command other than well; without a message there is nothing more to say. */
export class Failure extends Error {
  override readonly name = "Failure";
  constructor(message: string, readonly exitCode: 1 | 2 | 3 = 1) {
    super(message);
  }
}

/** A column of a table. */
export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** May be cut to make the table fit, the widest first. */
  readonly cut?: boolean;
  /** May go on in further lines to make the table fit; for the last column only. */
  readonly wrap?: boolean;
  /** Colour of a cell. */
  readonly colour?: (cell: string) => Colour | undefined;
}

/** Narrower than this a cell says nothing. */
const CUT_MIN = 8;

/**
 * A table, one line a row, at most as wide as the terminal. Cells may hold what others chose, so
 * what a terminal would act on is made printable.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  terminal: Pick<Terminal, "columns" | "colour">,
): string {
  const cells = rows.map((row) => columns.map((_, index) => printable(row[index] ?? "")));
  const widths = widthsOf(columns, cells, terminal.columns);
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  const line = (row: readonly string[], painted: boolean) =>
    columns.map(({ align, colour, wrap: wraps }, index) => {
      const width = widths[index] ?? 0;
      if (wraps === true) {
        return wrap(row[index] ?? "", width).replaceAll("\n", `\n${" ".repeat(before)}`);
      }
      const text = cut(row[index] ?? "", width);
      const how = painted ? colour?.(row[index] ?? "") : undefined;
      const gap = " ".repeat(Math.max(0, width - lengthOf(text)));
      const shown = how === undefined ? text : paint(terminal, how, text);
      return align === "right" ? gap + shown : shown + gap;
    }).join("  ").trimEnd();
  const heading = line(columns.map(({ title }) => title), false);
  return [heading, ...cells.map((row) => line(row, true))].map((each) => `${each}\n`).join("");
}

function widthsOf(
  columns: readonly Column[],
  cells: readonly (readonly string[])[],
  most: number | undefined,
): number[] {
  const widths = columns.map(({ title }, index) =>
    cells.reduce((width, row) => Math.max(width, lengthOf(row[index] ?? "")), lengthOf(title))
  );
  const gaps = 2 * (columns.length - 1);
  let over = widths.reduce((sum, width) => sum + width, gaps) - (most ?? Infinity);
  while (over > 0) {
    let widest = -1;
    columns.forEach((column, index) => {
      if ((column.cut !== true && column.wrap !== true) || (widths[index] ?? 0) <= CUT_MIN) return;
      if (widest < 0 || (widths[index] ?? 0) > (widths[widest] ?? 0)) widest = index;
    });
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over--;
  }
  return widths;
}

function lengthOf(text: string): number {
  return [...text].length;
}

/** A text of at most `width` characters; a cut one ends in `…`. */
export function cut(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join("")}…`;
}

/** A text in lines of at most `width`, each after the first with `indent` before it. */
export function wrap(text: string, width: number, indent = ""): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const room = width - (lines.length === 0 ? 0 : indent.length);
    if (line !== "" && lengthOf(line) + 1 + lengthOf(word) > room) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.join(`\n${indent}`);
}
