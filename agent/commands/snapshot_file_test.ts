import assert from "node:assert/strict";
import { join } from "node:path";
import { packingOf } from "../../diagnose/snapshot/format.ts";
import { madeSnapshot } from "../../tests/made_network.ts";
import { readSnapshotFile, saveSnapshot } from "./snapshot_file.ts";
import { Failure } from "./terminal.ts";

const SNAPSHOT = madeSnapshot({ n: { devices: { e0: { addresses: ["10.0.0.1/24"] } } } });

async function* pieces(...texts: readonly string[]): AsyncGenerator<string> {
  for (const text of texts) yield await Promise.resolve(text);
}

async function inFolder(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "podskoop-file-" });
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a snapshot reads back from each packing, and only its owner can read it", async () => {
  await inFolder(async (dir) => {
    const text = JSON.stringify(SNAPSHOT);
    const begins = { "a.json": [0x7b], "a.json.gz": [0x1f, 0x8b], "a.json.zst": [0x28, 0xb5] };
    for (const [name, magic] of Object.entries(begins)) {
      const path = join(dir, name);
      await saveSnapshot(path, packingOf(path), pieces(text.slice(0, 999), text.slice(999)));
      const bytes = await Deno.readFile(path);
      assert.deepEqual([...bytes.subarray(0, magic.length)], magic, name);
      assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
      assert.deepEqual(await readSnapshotFile(path), SNAPSHOT, name);
    }
    const names = Array.from(Deno.readDirSync(dir), ({ name }) => name);
    assert.deepEqual(names.sort(), Object.keys(begins));
  });
});

Deno.test("a snapshot that fails leaves the one before as it was", async () => {
  await inFolder(async (dir) => {
    async function* failing(): AsyncGenerator<string> {
      yield await Promise.resolve("{");
      throw new Failure("Cannot go on");
    }
    for (const name of ["a.json", "a.json.gz", "a.json.zst"]) {
      const path = join(dir, name);
      await Deno.writeTextFile(path, "before");
      await assert.rejects(
        saveSnapshot(path, packingOf(path), failing()),
        /^Failure: Cannot go on/,
      );
      assert.equal(await Deno.readTextFile(path), "before");
      await assert.rejects(Deno.stat(`${path}.part`), Deno.errors.NotFound);
    }
  });
});

Deno.test("an interrupted snapshot leaves nothing", async () => {
  await inFolder(async (dir) => {
    const module = new URL("./snapshot_file.ts", import.meta.url).href;
    const path = join(dir, "a.json");
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const script = `import { saveSnapshot } from ${JSON.stringify(module)};
        async function* endless() {
          for (;;) {
            yield "x".repeat(99_991);
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        }
        await saveSnapshot(${JSON.stringify(path)}, "json", endless());`;
      const child = new Deno.Command(Deno.execPath(), {
        args: ["eval", "--no-check", script],
        stdout: "null",
      }).spawn();
      while ((await sizeOf(`${path}.part`)) === 0) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      child.kill(signal);
      assert.equal((await child.status).code, code);
      assert.deepEqual(Array.from(Deno.readDirSync(dir)), []);
    }
  });
});

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

Deno.test("a file that is damaged, or no snapshot, is named", async () => {
  await inFolder(async (dir) => {
    const path = join(dir, "a.json.zst");
    await saveSnapshot(path, "zstd", pieces(JSON.stringify(SNAPSHOT)));
    const whole = await Deno.readFile(path);
    for (
      const bytes of [
        whole.subarray(0, whole.length / 2),
        whole.map((byte, at) => byte ^ +(at > 40)),
      ]
    ) {
      await Deno.writeFile(path, bytes);
      await assert.rejects(readSnapshotFile(path), /^Failure: ".*a\.json\.zst": Cannot unpack/);
    }
    await saveSnapshot(path, "zstd", pieces("{}"));
    await assert.rejects(readSnapshotFile(path), /it is not one that `podskoop collect` wrote/);
    await assert.rejects(readSnapshotFile(join(dir, "none")), /Cannot read the snapshot ".*none"/);
  });
});
