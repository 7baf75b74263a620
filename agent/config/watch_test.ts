import assert from "node:assert/strict";
import { readText, watchConfig } from "./watch.ts";

const EVERY = 10;

/** A folder, a watch on `config.yaml` in it, and what the watch has said. */
async function watched(
  prepare: (folder: string) => Promise<void>,
  act: (place: {
    readonly folder: string;
    readonly file: string;
    readonly seen: string[];
    readonly problems: string[];
    readonly reload: () => Promise<void>;
    readonly until: (count: number) => Promise<void>;
    readonly quiet: () => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "podskoop-watch-" });
  try {
    await prepare(folder);
    const file = `${folder}/config.yaml`;
    const seen: string[] = [];
    const problems: string[] = [];
    const text = await readText(file).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    });
    using watch = watchConfig(file, {
      changed: (changed) => {
        seen.push(changed);
        if (changed.includes("boom")) throw new Error("Cannot use boom");
      },
      problem: (message) => void problems.push(message),
    }, { everyMilliseconds: EVERY, ...text === undefined ? {} : { text } });
    const pause = (milliseconds: number) =>
      new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
    await act({
      folder,
      file,
      seen,
      problems,
      reload: () => watch.reload(),
      quiet: () => pause(8 * EVERY),
      async until(count) {
        const end = Date.now() + 5_000;
        while (seen.length + problems.length < count && Date.now() < end) await pause(EVERY);
      },
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function plain(folder: string): Promise<void> {
  await Deno.writeTextFile(`${folder}/config.yaml`, "one");
}

Deno.test("a write, and a rename over the file, are seen once each", async () => {
  await watched(plain, async ({ folder, file, seen, until, quiet }) => {
    await quiet();
    await Deno.writeTextFile(file, "two");
    await until(1);
    await Deno.writeTextFile(`${folder}/next`, "three");
    await Deno.rename(`${folder}/next`, file);
    await until(2);
    await quiet();
    assert.deepEqual(seen, ["two", "three"]);
  });
});

Deno.test("a ConfigMap's swaps of its `..data` link are all seen, not just the first", async () => {
  const publish = async (folder: string, text: string) => {
    const version = `..${text}`;
    await Deno.mkdir(`${folder}/${version}`);
    await Deno.writeTextFile(`${folder}/${version}/config.yaml`, text);
    await Deno.symlink(version, `${folder}/..data_tmp`);
    await Deno.rename(`${folder}/..data_tmp`, `${folder}/..data`);
  };
  await watched(async (folder) => {
    await publish(folder, "one");
    await Deno.symlink("..data/config.yaml", `${folder}/config.yaml`);
  }, async ({ folder, seen, until, quiet }) => {
    await publish(folder, "two");
    await until(1);
    await Deno.remove(`${folder}/..one`, { recursive: true });
    await publish(folder, "three");
    await until(2);
    await quiet();
    assert.deepEqual(seen, ["two", "three"]);
  });
});

Deno.test("a deleted file is told of once; its return changes what differs", async () => {
  await watched(plain, async ({ file, seen, problems, until, quiet }) => {
    await quiet();
    await Deno.remove(file);
    await until(1);
    await quiet();
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", /Cannot read the configuration ".*", the last one stays: /);
    await Deno.writeTextFile(file, "one");
    await quiet();
    await Deno.writeTextFile(file, "two");
    await until(2);
    assert.deepEqual(seen, ["two"]);
  });
});

Deno.test("a file that is not there at first is no problem, and seen later", async () => {
  await watched(() => Promise.resolve(), async ({ file, seen, problems, until, quiet }) => {
    await quiet();
    assert.deepEqual(problems, []);
    await Deno.writeTextFile(file, "one");
    await until(1);
    assert.deepEqual(seen, ["one"]);
  });
});

Deno.test("a touched file changes nothing; SIGHUP reads it all the same", async () => {
  await watched(plain, async ({ file, seen, until, quiet }) => {
    await quiet();
    await Deno.utime(file, 1, 1);
    await quiet();
    assert.deepEqual(seen, []);
    Deno.kill(Deno.pid, "SIGHUP");
    await until(1);
    assert.deepEqual(seen, ["one"]);
  });
});

Deno.test("what cannot be read or applied is a problem that ends no watch", async () => {
  await watched(plain, async ({ file, seen, problems, until }) => {
    await Deno.writeFile(file, new Uint8Array([0x61, 0xff]));
    await until(1);
    await Deno.writeTextFile(file, "x".repeat(1024 * 1024 + 1));
    await until(2);
    assert.match(problems[1] ?? "", /It has 1048577 bytes, and 1048576 is the most/);
    await Deno.writeTextFile(file, "boom");
    await until(4);
    assert.match(problems[2] ?? "", /Cannot apply the configuration ".*": Cannot use boom/);
    await Deno.writeTextFile(file, "four");
    await until(5);
    assert.deepEqual(seen, ["boom", "four"]);
  });
});
