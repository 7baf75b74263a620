import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { buffer, Errno } from "./libc.ts";
import { countCpus, PinnedMap, possibleCpus } from "./maps.ts";
import type { Attached } from "./object.ts";
import { key32, onKernel, withCounting } from "./testdata/lab.ts";

Deno.test("possible CPUs are counted, not numbered, because a gap has no value in a map", () => {
  strictEqual(countCpus("0\n"), 1);
  strictEqual(countCpus("0-3\n"), 4);
  strictEqual(countCpus("0-1,4-5,9\n"), 5);
  throws(() => countCpus("0-"), {
    name: "SyntaxError",
    message: 'Cannot count the CPUs of "0-" as it is no list of ranges',
  });
});

function value64(value: bigint): Uint8Array<ArrayBuffer> {
  const bytes = buffer(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

/** Every key of the map "plain" with its value; a key that comes twice is a mistake. */
function readPlain(map: PinnedMap): Map<number, bigint> {
  const found = new Map<number, bigint>();
  const count = map.read((key, keyOffset, value, offset) => {
    const name = key.getUint32(keyOffset, true);
    ok(!found.has(name), `key ${name} came twice`);
    found.set(name, value.getBigUint64(offset, true));
  });
  strictEqual(count, found.size);
  return found;
}

onKernel("a map of 10,007 entries is read whole, in batches and key by key", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    const map = counting.map("plain");
    const expected = new Map<number, bigint>();
    for (let index = 0; index < 10_007; index++) {
      const name = Math.imul(index, 2_654_435_761) >>> 0;
      expected.set(name, BigInt(index) << 33n);
      map.update(key32(name), value64(BigInt(index) << 33n));
    }
    using slow = new PinnedMap(map.path, false);
    for (const each of [map, slow]) {
      const found = readPlain(each);
      strictEqual(found.size, 10_007);
      for (const [name, value] of expected) {
        if (found.get(name) !== value) strictEqual(found.get(name), value, `key ${name}`);
      }
    }
    map.clear();
    strictEqual(readPlain(map).size, 0);
  });
});

onKernel(
  "maps that are read one after the other share buffers, nested ones do not",
  async (dir) => {
    await withCounting(dir, 4_096, (counting) => {
      const map = counting.map("plain");
      for (let name = 0; name < 13; name++) map.update(key32(name), value64(BigInt(name) << 40n));
      const buffers = new Set<ArrayBuffer>();
      const expected = new Map(
        Array.from({ length: 13 }, (_, name) => [name, BigInt(name) << 40n]),
      );
      using again = new PinnedMap(map.path);
      for (const each of [map, again, map]) {
        each.read((_key, _at, { buffer }) => buffers.add(buffer));
      }
      strictEqual(buffers.size, 1);
      const found = new Map<number, bigint>();
      map.read((key, at, value, offset) => {
        const name = key.getUint32(at, true);
        // A look at all of another map in the middle of one must not write over it.
        deepStrictEqual(readPlain(again), expected);
        found.set(name, value.getBigUint64(offset, true));
      });
      deepStrictEqual(found, expected);
    });
  },
);

onKernel("lookup, update and delete work on one entry", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    const map = counting.map("plain");
    deepStrictEqual(
      [map.info.keyBytes, map.info.valueBytes, map.info.entriesMax, map.info.name],
      [4, 8, 20_000, "plain"],
    );
    strictEqual(map.lookup(key32(5)), undefined);
    map.update(key32(5), value64(7n));
    deepStrictEqual(map.lookup(key32(5)), value64(7n));
    strictEqual(map.delete(key32(5)), true);
    strictEqual(map.delete(key32(5)), false);
    map.update(key32(7), value64(13n));
    deepStrictEqual(map.take(key32(7)), value64(13n));
    strictEqual(map.take(key32(7)), undefined);
    strictEqual(map.lookup(key32(7)), undefined);
    throws(() => map.lookup(buffer(3)), {
      name: "RangeError",
      message: `Cannot use a key for the map "${map.path}" as it must have 4 bytes: ` +
        "current length is 3",
    });
    throws(() => map.update(key32(1), buffer(9)), /must have 8 bytes: current length is 9/);
  });
});

/**
 * Gives each CPU a value of its own: calls = 1 + cpu, bytes near the 32-bit edge, so that a carry
 * is needed.
 */
function fillTotals(counting: Attached, keys: number): void {
  const map = counting.map("totals");
  for (let index = 0; index < keys; index++) {
    const key = buffer(8);
    new DataView(key.buffer).setUint32(0, index, true);
    const values = buffer(map.strideBytes);
    const view = new DataView(values.buffer);
    for (let cpu = 0; cpu < possibleCpus(); cpu++) {
      view.setBigUint64(cpu * 16, BigInt(index + cpu), true);
      view.setBigUint64(cpu * 16 + 8, 0xffff_ffffn, true);
    }
    map.updateEach(key, values);
  }
}

onKernel("per-CPU values are added up, each number apart, with carry", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    fillTotals(counting, 1_009);
    const cpus = possibleCpus();
    const map = counting.map("totals");
    strictEqual(map.strideBytes, 16 * cpus);
    using slow = new PinnedMap(map.path, false);
    for (const each of [map, slow]) {
      const seen = new Set<number>();
      each.read((key, keyOffset, value, offset) => {
        const index = key.getUint32(keyOffset, true);
        seen.add(index);
        const calls = BigInt(index * cpus + cpus * (cpus - 1) / 2);
        strictEqual(value.getBigUint64(offset, true), calls);
        strictEqual(value.getBigUint64(offset + 8, true), 0xffff_ffffn * BigInt(cpus));
      });
      strictEqual(seen.size, 1_009);
    }
    map.readEach((key, keyOffset, value, offset) => {
      const index = key.getUint32(keyOffset, true);
      for (let cpu = 0; cpu < cpus; cpu++) {
        strictEqual(value.getBigUint64(offset + cpu * 16, true), BigInt(index + cpu));
      }
    });
    map.clear();
    strictEqual(map.read(() => {}), 0);
  });
});

onKernel(
  "a per-CPU array is read with and without batch calls, and cleared to zero",
  async (pinDir) => {
    await withCounting(pinDir, 4_096, (counting) => {
      const map = counting.map("lost");
      map.update(key32(0), value64(13n));
      using slow = new PinnedMap(map.path, false);
      for (const each of [map, slow]) {
        const sums: bigint[] = [];
        each.read((_key, _keyOffset, value, offset) => sums.push(value.getBigUint64(offset, true)));
        deepStrictEqual(sums, [13n * BigInt(possibleCpus())]);
      }
      map.clear();
      map.read((_key, _keyOffset, value, offset) => {
        strictEqual(value.getBigUint64(offset, true), 0n);
      });
    });
  },
);

onKernel("a map that the kernel has no batch calls for is read key by key", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    const map = counting.map("devices");
    const loopback = key32(1);
    for (const name of [7, 11, 13]) map.update(key32(name), loopback);
    const seen: number[] = [];
    strictEqual(map.read((key, at) => seen.push(key.getUint32(at, true))), 3);
    deepStrictEqual(seen.sort((a, b) => a - b), [7, 11, 13]);
    map.clear();
    strictEqual(map.read(() => {}), 0);
  });
});

onKernel("opening what is not there, or is no map, says so", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    throws(() => new PinnedMap(`${pinDir}/nothing`), (error) => {
      ok(error instanceof Errno);
      strictEqual(error.name, "ENOENT");
      strictEqual(error.code, 2);
      strictEqual(
        error.message,
        `Cannot open the pin "${pinDir}/nothing": ENOENT (No such file or directory)`,
      );
      return true;
    });
    throws(() => new PinnedMap(`${counting.dir}/progs/count_calls`), /as a map: it is none$/);
  });
});
