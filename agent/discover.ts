/**
 * Finds every probe and collector by listing their folders: a folder is all that one needs to
 * exist.
 *
 * @module
 */
import type { Collector } from "./collector.ts";
import type { Probe } from "./probe.ts";

const ROOT = new URL("../", import.meta.url);

/** Every probe's card, by name. */
export async function discoverProbes(): Promise<readonly Probe[]> {
  return await load<Probe>("probes");
}

/** Every collector's card, by name. */
export async function discoverCollectors(): Promise<readonly Collector[]> {
  return await load<Collector>("collectors");
}

/** The compiled BPF object of one of a probe's hook sets. */
export async function readObject(probe: string, object: string): Promise<Uint8Array<ArrayBuffer>> {
  return await Deno.readFile(new URL(`probes/${probe}/${object}.bpf.o`, ROOT));
}

async function load<T>(folder: string): Promise<readonly T[]> {
  const root = new URL(`${folder}/`, ROOT);
  const names: string[] = [];
  for await (const entry of Deno.readDir(root)) {
    if (entry.isDirectory) names.push(entry.name);
  }
  names.sort();
  return await Promise.all(names.map(async (name): Promise<T> => {
    const module: { readonly default: T } = await import(
      new URL(`${name}/${name}.ts`, root).href
    );
    return module.default;
  }));
}
