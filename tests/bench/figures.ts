/**
 * Prints figures beside their targets.
 *
 * @module
 */

/** Writes a table's title and head. */
export function title(text: string): void {
  print(`\n${text}\n${row("what", "figure", "target", "ratio")}`);
}

/**
 * Writes one figure; `target` is the most it should be, unless `least` says that it is the least.
 */
export function figure(
  what: string,
  value: number,
  unit: string,
  target?: number,
  least = false,
): void {
  const ratio = target === undefined ? "" : (value / target).toFixed(2);
  const sign = least ? "≥" : "≤";
  const wanted = target === undefined ? "" : `${sign} ${target} ${unit}`;
  print(row(what, `${rounded(value)} ${unit}`, wanted, ratio));
}

/** Writes one line of a table of many figures: a name, and numbers under each other. */
export function across(what: string, cells: readonly (string | number)[]): void {
  const shown = cells.map((cell) => typeof cell === "string" ? cell : rounded(cell));
  print(what.padEnd(12) + shown.map((cell) => cell.padStart(11)).join(""));
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** CPU time of a process in milliseconds, proc_pid_stat(5). */
export function cpuMs(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Resident memory of a process in megabytes. */
export function rssMb(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) / 1024;
}

function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3);
}

function row(...cells: readonly string[]): string {
  const widths = [44, 16, 14, 6];
  return cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join("").trimEnd();
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
