/**
 * `podskoop version`: exactly which podskoop this is.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { Command } from "commander";
import { discoverProbes, readObject } from "../discover.ts";
import { jsonText } from "../routes/answer.ts";
import { build, version } from "../version.ts";
import { type Column, table, type Terminal } from "./terminal.ts";

/** Digits of a hash that people compare. */
const HASH_DIGITS = 16;

/** What makes up this program. */
export interface VersionFacts {
  readonly version: string;
  readonly build: string;
  readonly deno: string;
  readonly v8: string;
  readonly target: string;
  /** SHA-256 of each BPF object; absent when it has not been built. */
  readonly objects: readonly { readonly object: string; readonly sha256?: string }[];
}

/** Tells the version, the build, the runtime, and the hash of each BPF object. */
export function versionCommand(terminal: Terminal): Command {
  return new Command("version")
    .description("version, build, runtime, and the hash of each BPF object")
    .option("--json", "as JSON")
    .action(async ({ json }: { readonly json?: boolean }) => {
      const facts = await versionFacts();
      terminal.out(json === true ? `${jsonText(facts, 2)}\n` : versionText(facts, terminal));
    });
}

/** Finds out what makes up this program. */
export async function versionFacts(): Promise<VersionFacts> {
  const names = (await discoverProbes()).flatMap((probe) =>
    (probe.hooks ?? []).map(({ object }) => [probe.name, object] as const)
  );
  const objects = await Promise.all(names.map(async ([probe, object]) => {
    try {
      const bytes = await readObject(probe, object);
      return { object, sha256: createHash("sha256").update(bytes).digest("hex") };
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return { object };
    }
  }));
  return {
    version,
    build,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    target: Deno.build.target,
    objects,
  };
}

const COLUMNS: readonly Column[] = [{ title: "BPF OBJECT" }, { title: "SHA-256" }];

/** The facts in words. */
export function versionText(facts: VersionFacts, terminal: Terminal): string {
  const { deno, v8, target, objects } = facts;
  const head = [
    `podskoop ${facts.version}`,
    `build     ${facts.build}`,
    `runtime   Deno ${deno}, V8 ${v8}, ${target}`,
  ];
  const rows = objects.map(({ object, sha256 }) => [
    object,
    sha256?.slice(0, HASH_DIGITS) ?? "not built",
  ]);
  return `${head.join("\n")}\n${rows.length === 0 ? "" : `\n${table(COLUMNS, rows, terminal)}`}`;
}
