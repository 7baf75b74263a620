import assert from "node:assert/strict";
import { readBounded, readBoundedText, readBoundedTextSync } from "./bounded_file.ts";

/** All three ways of reading; what they give as text, or throw. */
async function reads(path: string, bytesMax: number): Promise<readonly string[]> {
  const ways = [
    async () => new TextDecoder().decode(await readBounded(path, bytesMax)),
    () => readBoundedText(path, bytesMax),
    () => Promise.resolve().then(() => readBoundedTextSync(path, bytesMax)),
  ];
  return await Promise.all(ways.map((way) => way().catch((error) => String(error))));
}

const same = (texts: readonly string[]) => {
  assert.equal(new Set(texts).size, 1, JSON.stringify(texts).slice(0, 400));
  return texts[0] ?? "";
};

Deno.test("a file is read up to its bound, and not a byte further", async () => {
  const dir = await Deno.makeTempDir({ prefix: "bounded-" });
  try {
    const path = `${dir}/file`;
    for (const length of [0, 1, 65_536, 65_537, 300_007]) {
      const text = "ä".repeat(length);
      await Deno.writeTextFile(path, text);
      const bytes = 2 * length;
      assert.equal(same(await reads(path, bytes)), text);
      assert.equal(same(await reads(path, bytes + 1)), text);
      if (bytes === 0) continue;
      assert.equal(
        same(await reads(path, bytes - 1)),
        `RangeError: It has more than ${bytes - 1} bytes`,
      );
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("what has no end, or does not say its size, is bounded too", async () => {
  assert.match(same(await reads("/dev/zero", 300_007)), /^RangeError: It has more than 300007 by/);
  assert.match(same(await reads("/proc/version", 65_536)), /^Linux version /);
  assert.match(same(await reads("/proc/version", 7)), /^RangeError: It has more than 7 bytes$/);
  assert.match(same(await reads("/nowhere/file", 7)), /^NotFound: /);
  assert.match(same(await reads("/", 7)), /directory/i);
});
