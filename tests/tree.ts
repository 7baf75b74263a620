/**
 * The files of this repository, as the tests that hold for all of them read it.
 *
 * @module
 */

/** A text file; `path` is relative to the root. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** What a rule found, and what to do instead. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export const ROOT = new URL("../", import.meta.url);

/** Not ours, not text, or kept as something else wrote it. */
const PASSED_OVER = [".git", "dist", "node_modules", "testdata", "golden", "results"];

/** Every text file below the root, sorted by path. */
export async function textFiles(): Promise<TextFile[]> {
  const files: TextFile[] = [];
  async function look(folder: string): Promise<void> {
    for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
      if (PASSED_OVER.includes(entry.name)) continue;
      const path = `${folder}${entry.name}`;
      if (entry.isDirectory) await look(`${path}/`);
      else if (entry.isFile) {
        const text = await Deno.readTextFile(new URL(path, ROOT));
        if (!text.includes("\0")) files.push({ path, text });
      }
    }
  }
  await look("");
  return files.sort((a, b) => a.path < b.path ? -1 : 1);
}

/**
 * Fails with each finding on a line of its own, as an editor can follow them: `agent/x.ts:12: …`.
 */
export function expectNone(findings: readonly Finding[]): void {
  if (findings.length === 0) return;
  const lines = findings.map(({ path, line, message }) => `${path}:${line}: ${message}`);
  throw new Error(`${lines.length} found\n${lines.join("\n")}`);
}

/** The number of the line that an offset into a text lies on. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) {
    line += 1;
  }
  return line;
}

/** Whether a file only serves tests, and so may do what the product may not. */
export function isTest(path: string): boolean {
  return path.endsWith("_test.ts") || path.startsWith("tests/");
}
