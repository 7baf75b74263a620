/**
 * Every probe of the product is stopped and started again and again by its configuration: nothing
 * of it stays behind, in the kernel or in the agent.
 */
import { deepStrictEqual, ok } from "node:assert/strict";
import { existsSync } from "node:fs";
import { AgentUnderTest, BINARY, eventually, run } from "./lab.ts";

/** A hundred of them are `PODSKOOP_RESTARTS=100`: some minutes. */
const ROUNDS = Number(Deno.env.get("PODSKOOP_RESTARTS") ?? 11);
/** The kernel frees what nobody holds a moment later, and a busy machine's moments are long. */
const PATIENCE_MS = 30_000;

interface Listed {
  readonly name: string;
  readonly kind: string;
}

/** As bpftool lists objects with the files that pin them. */
interface Numbered {
  readonly id: number;
  readonly prog_id?: number;
  readonly pinned?: readonly string[];
}

/**
 * Another agent's objects may go while bpftool lists them, which ends it: then it is asked again.
 */
async function shown(kind: string): Promise<readonly Numbered[]> {
  const text = await eventually(
    () => run("bpftool", "-j", "-f", kind, "show").catch(() => undefined),
    (found) => found !== undefined,
    PATIENCE_MS,
  );
  if (text === undefined) throw new Error(`Cannot list each ${kind} of the kernel with bpftool`);
  return JSON.parse(text);
}

/** The links, maps and programs that are pinned below a folder, as `map 12`. */
async function pinnedBelow(folder: string): Promise<readonly string[]> {
  const isOurs = ({ pinned = [] }: Numbered) =>
    pinned.some((path) => path.startsWith(`${folder}/`));
  const links = (await shown("link")).filter(isOurs);
  const maps = (await shown("map")).filter(isOurs);
  return [
    ...links.map(({ id }) => `link ${id}`),
    ...links.flatMap(({ prog_id }) => prog_id === undefined ? [] : [`prog ${prog_id}`]),
    ...maps.map(({ id }) => `map ${id}`),
  ];
}

/** Those of them that the kernel still has. */
async function stillThere(names: ReadonlySet<string>): Promise<readonly string[]> {
  const now = await Promise.all(
    ["link", "prog", "map"].map(async (kind) =>
      (await shown(kind)).map(({ id }) => `${kind} ${id}`)
    ),
  );
  return now.flat().filter((name) => names.has(name));
}

/** What a process has open, and how often. */
function descriptors(pid: number): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    try {
      // Pipes, sockets and files have numbers that say nothing here.
      const link = Deno.readLinkSync(`/proc/${pid}/fd/${name}`).replace(/\d+/g, "N");
      counts[link] = (counts[link] ?? 0) + 1;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // closed since it was listed
    }
  }
  return counts;
}

/** All but the one that the agent's statistics of programs open for a part of the time. */
function bpfDescriptors(pid: number): readonly string[] {
  return Object.entries(descriptors(pid))
    .filter(([link]) => /bpf/.test(link) && link !== "anon_inode:bpf-stats")
    .map(([link, count]) => `${count} ${link}`);
}

function filesBelow(folder: string): readonly string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? [`${name}/`, ...filesBelow(`${folder}/${name}`)] : [name]
  );
}

Deno.test(`every probe leaves nothing behind after ${ROUNDS} starts and stops`, async () => {
  const listed: readonly Listed[] = JSON.parse(await run(BINARY, "probes", "--json"));
  const probes = listed.filter(({ kind }) => kind === "probe").map(({ name }) => name);
  ok(probes.length >= 8, `${probes}`);
  const all = (on: boolean) =>
    JSON.stringify({ probes: Object.fromEntries(probes.map((name) => [name, on])) });
  await using agent = await AgentUnderTest.start({ config: all(false) });
  const put = async (body: string) => {
    const response = await agent.ask("/config", { method: "PUT", body });
    deepStrictEqual([response.status, response.ok ? "" : await response.text()], [200, ""]);
    await response.body?.cancel();
  };
  ok(existsSync(agent.pinDir), agent.log);
  const before = { files: filesBelow(agent.pinDir), bpf: bpfDescriptors(agent.pid) };
  const open = () => Object.values(descriptors(agent.pid)).reduce((sum, count) => sum + count, 0);
  const seen = new Set<string>();
  let opened = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await put(all(true));
    for (const name of await pinnedBelow(agent.pinDir)) seen.add(name);
    await put(all(false));
    // What the first round opens for good, such as the kernel's symbols, is no leak.
    if (round === 0) opened = open();
  }
  ok(seen.size >= ROUNDS * probes.length, `only ${seen.size} objects were seen`);
  deepStrictEqual(filesBelow(agent.pinDir), before.files);
  deepStrictEqual(bpfDescriptors(agent.pid), before.bpf);
  deepStrictEqual(
    await eventually(() => stillThere(seen), (left) => left.length === 0, PATIENCE_MS),
    [],
  );
  const less = await eventually(() => Promise.resolve(open()), (now) => now <= opened, PATIENCE_MS);
  ok(less <= opened, `${opened} descriptors after the first round, ${less} after the last`);
});
