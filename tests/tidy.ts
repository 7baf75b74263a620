/**
 * The house rules that hold for a file by itself, each with what to do instead.
 *
 * @module
 */
import type { Finding, TextFile } from "./tree.ts";
import { typescriptFindings } from "./tidy_typescript.ts";

const COLUMNS_MAX = 100;
const TAB_COLUMNS = 8;
const UNIT_LINES_MAX = 150;
export const FUNCTION_LINES_MAX = 70;

/** Nouns that say nothing of what a thing is. */
const EMPTY_WORDS =
  /^(utils?|utility|utilities|helpers?|managers?|handlers?|common|misc|legacy|plugins?)$/;

/**
 * Where this project was thought out is nothing to its readers; in pieces, or this file would
 * match.
 */
const FOREIGN_PLACES = [
  "/wo" + "rk/",
  "../sha" + "red",
  "proto" + "type/structure",
  "proto" + "type/runtime",
  "DESI" + "GN.md",
  "DESI" + "GN §",
  "STY" + "LE.md",
  "STY" + "LE §",
] as const;

/** All that is wrong with one file. */
export function findings(file: TextFile): Finding[] {
  const found = [...nameFindings(file.path), ...placeFindings(file)];
  if (/\.(ts|c|h)$/.test(file.path)) {
    found.push(...shapeFindings(file), ...commentFindings(file));
  }
  if (file.path.endsWith(".ts")) found.push(...typescriptFindings(file));
  if (/\.(c|h)$/.test(file.path)) found.push(...cFindings(file));
  return found.sort((a, b) => a.line - b.line);
}

/** The empty word that a name holds, if it holds one: `agentUtils`, `agent_utils`. */
export function emptyWord(name: string): string | undefined {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase().split(/[^a-z0-9]+/);
  return words.find((word) => EMPTY_WORDS.test(word));
}

/** What is said of a name with an empty word, wherever it stands. */
export function emptyWordMessage(name: string): string | undefined {
  const word = emptyWord(name);
  return word && `"${name}" has the empty word "${word}": name what it is, or what it does`;
}

function nameFindings(path: string): Finding[] {
  const found: Finding[] = [];
  if (!/\.(ts|c|h|sh)$/.test(path)) return found;
  const message = emptyWordMessage(path);
  if (message !== undefined) found.push({ path, line: 1, message });
  const name = path.split("/").at(-1) ?? "";
  if (name.endsWith(".ts") && !/^[a-z0-9_]+\.ts$/.test(name)) {
    found.push({ path, line: 1, message: `"${name}" is not snake_case: rename it` });
  }
  return found;
}

function placeFindings({ path, text }: TextFile): Finding[] {
  return lines(text).flatMap(([line, number]) =>
    FOREIGN_PLACES.filter((place) => line.includes(place)).map((place) => ({
      path,
      line: number,
      message: `"${place}" is not of this repository: say it in the project's own words`,
    }))
  );
}

function shapeFindings({ path, text }: TextFile): Finding[] {
  const found: Finding[] = [];
  if (text.trim() === "") found.push({ path, line: 1, message: "is empty: remove it" });
  for (const [line, number] of lines(text)) {
    const width = columns(line);
    if (width > COLUMNS_MAX) {
      const message = `has ${width} columns: break it before ${COLUMNS_MAX}`;
      found.push({ path, line: number, message });
    }
  }
  const length = text.trimEnd().split("\n").length;
  if (/^(probes|collectors)\//.test(path) && length > UNIT_LINES_MAX) {
    const message = `has ${length} lines, and ${UNIT_LINES_MAX} is the most a unit's file may ` +
      "have: move what others need too into agent/ or bpf/include/, or split it in its folder";
    found.push({ path, line: UNIT_LINES_MAX + 1, message });
  }
  return found;
}

function columns(line: string): number {
  let width = 0;
  for (const character of line) {
    width += character === "\t" ? TAB_COLUMNS - width % TAB_COLUMNS : 1;
  }
  return width;
}

/** In pieces, or this file would match. */
const TASK_MARK = new RegExp(`\\b(${"TO" + "DO"}|${"FIX" + "ME"}|${"X" + "XX"})\\b(\\(#\\d+\\))?`);

function commentFindings({ path, text }: TextFile): Finding[] {
  const found: Finding[] = [];
  for (const [line, number] of lines(text)) {
    const [mark, word, issue] = TASK_MARK.exec(line) ?? [];
    if (mark !== undefined && (word !== "TO" + "DO" || issue === undefined)) {
      const message = `"${word}" without an issue's number: write ${
        "TO" + "DO"
      }(#12), or do it now`;
      found.push({ path, line: number, message });
    }
    // Code, by how it begins and ends at once; prose does one or the other.
    const begins = /^\s*\/\/\s*(const|let|return|await|import|export|if \(|for \(|[\w.]+\()/;
    if (begins.test(line) && /[;{}]$/.test(line)) {
      found.push({ path, line: number, message: "is code in a comment: remove it, git keeps it" });
    }
  }
  return found;
}

/** Kernel types, with the kernel's own names, are declared in these alone. */
const KERNEL_HEADERS = ["bpf/include/kernel.h", "bpf/include/fixes.h"];

/** What may stand in some C files only: text, the files, and what to do instead. */
const C_PLACES = [
  {
    text: "bpf_ringbuf_reserve",
    allowed: ["bpf/include/probe.h"],
    instead:
      "use reserve_event() of bpf/include/probe.h, which zeroes the record and counts losses",
  },
  {
    text: "preserve_access_index",
    allowed: KERNEL_HEADERS,
    instead: "declare the kernel's types in bpf/include/kernel.h",
  },
  {
    text: "LINUX_VERSION_CODE",
    allowed: [],
    instead: "ask BTF in bpf/include/fixes.h: versions lie where fixes are ported back",
  },
  {
    text: "vmlinux.h",
    allowed: [],
    instead: "declare the fields that are read in bpf/include/kernel.h",
  },
] as const;

function cFindings(file: TextFile): Finding[] {
  const { path, text } = file;
  const found: Finding[] = [...crossingFindings(file)];
  let opened: number | undefined;
  for (const [line, number] of lines(text)) {
    for (const { text: word, allowed, instead } of C_PLACES) {
      if (!line.includes(word) || allowed.some((place) => place === path)) continue;
      found.push({ path, line: number, message: `"${word}" does not belong here: ${instead}` });
    }
    if (line === "{") opened = number;
    if (line === "}" && opened !== undefined) {
      const length = number - opened + 1;
      if (length > FUNCTION_LINES_MAX) {
        found.push({ path, line: opened, message: functionMessage(length) });
      }
      opened = undefined;
    }
    const name = declaredInC(line);
    const message = name === undefined ? undefined : emptyWordMessage(name);
    if (message !== undefined && !KERNEL_HEADERS.includes(path)) {
      found.push({ path, line: number, message });
    }
  }
  return found;
}

/** What is said of a function that is too long, in either language. */
export function functionMessage(length: number): string {
  return `is a function of ${length} lines, and ${FUNCTION_LINES_MAX} is the most: ` +
    "give a step of it a name of its own";
}

/** The struct, enum, macro or function that a line of C declares, as kernel style writes it. */
function declaredInC(line: string): string | undefined {
  return /^(?:struct|enum|union) (\w+) \{/.exec(line)?.[1] ??
    /^#define (\w+)/.exec(line)?.[1] ??
    /^(?:[a-z_]\w*[ *]+)+(\w+)\(/.exec(line)?.[1];
}

/**
 * A probe's header holds what crosses: its names begin with the probe's, its sizes are asserted.
 */
function crossingFindings({ path, text }: TextFile): Finding[] {
  const [, probe, stem] = /^probes\/(\w+)\/(\w+)\.h$/.exec(path) ?? [];
  if (probe === undefined || stem !== probe) return [];
  const found: Finding[] = [];
  for (const [line, number] of lines(text)) {
    const name = /^struct (\w+) \{/.exec(line)?.[1];
    if (name === undefined) continue;
    if (!name.startsWith(`${probe}_`)) {
      const message = `"struct ${name}" is not of probe "${probe}" by its name: call it ${probe}_…`;
      found.push({ path, line: number, message });
    }
    const asserted = new RegExp(`_Static_assert\\(\\s*sizeof\\(struct ${name}\\) ==`);
    if (!asserted.test(text)) {
      const message = `"struct ${name}" may have hidden padding: pad it, and add ` +
        `_Static_assert(sizeof(struct ${name}) == …)`;
      found.push({ path, line: number, message });
    }
  }
  return found;
}

/** What a folder of `probes/` or `collectors/` lacks, or has too much. */
export function unitFindings(paths: readonly string[]): Finding[] {
  const found: Finding[] = [];
  const folders = new Set(
    paths.flatMap((path) => /^((?:probes|collectors)\/[^/]+)\//.exec(path)?.[1] ?? []),
  );
  for (const folder of folders) {
    const name = folder.split("/")[1] ?? "";
    const path = folder;
    if (!/^[a-z][a-z0-9]*$/.test(name)) {
      found.push({ path, line: 1, message: `"${name}" is not one lowercase word: rename it` });
    }
    const needed = [`${folder}/${name}.ts`, `${folder}/${name}_test.ts`];
    const sources = paths.filter((each) => each.startsWith(`${folder}/`) && each.endsWith(".c"));
    // A probe that listens on netlink says in `messages.ts` what others say in C.
    const isListening = paths.includes(`${folder}/messages.ts`);
    if (folder.startsWith("probes/") && !isListening) {
      needed.push(`${folder}/${name}.h`);
      if (sources.length === 0) needed.push(`${folder}/${name}.bpf.c`);
    }
    for (const each of needed.filter((each) => !paths.includes(each))) {
      found.push({ path, line: 1, message: `has no "${each}": a unit's files bear its name` });
    }
    for (const source of sources) {
      if (new RegExp(`^${folder}/${name}(_[a-z0-9_]+)?\\.bpf\\.c$`).test(source)) continue;
      const message =
        `is not "${name}.bpf.c" or "${name}_HOOKS.bpf.c": objects bear the probe's name`;
      found.push({ path: source, line: 1, message });
    }
  }
  return found;
}

function lines(text: string): [line: string, number: number][] {
  return text.split("\n").map((line, index) => [line, index + 1]);
}
