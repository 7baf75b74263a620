import assert from "node:assert/strict";
import { linesOf } from "./lines.ts";

const encoder = new TextEncoder();

async function lines(chunks: readonly string[], bytesMax = 100): Promise<string[]> {
  const body = ReadableStream.from(chunks.map((chunk) => encoder.encode(chunk)));
  return await Array.fromAsync(linesOf(body, bytesMax));
}

Deno.test("lines are whole however a body is cut, the last one with its line feed", async () => {
  assert.deepEqual(await lines(["a\nb", "c", "d\n", "\n\ne"]), ["a", "bcd", "", ""]);
  const bytes = encoder.encode("größe\n");
  const single = ReadableStream.from(Array.from(bytes, (each) => Uint8Array.of(each)));
  assert.deepEqual(await Array.fromAsync(linesOf(single, 100)), ["größe"]);
  assert.deepEqual(await lines([]), []);
});

Deno.test("lines are bounded", async () => {
  assert.deepEqual(await lines(["x".repeat(7), "\n"], 7), ["x".repeat(7)]);
  await assert.rejects(lines(["xxxx", "xxxx"], 7), /A line has more than 7 bytes/);
});
