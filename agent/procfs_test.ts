import assert from "node:assert/strict";
import { count, integer, linesOf, nonsense, quoted } from "./procfs.ts";

Deno.test("linesOf gives lines, and refuses a text that was cut short", () => {
  assert.deepEqual(linesOf("f", "a\n\nb\n"), ["a", "", "b"]);
  assert.throws(() => linesOf("f", "a\nb"), {
    name: "SyntaxError",
    message: 'Cannot parse line 2 of "f": the text ends inside of "b"',
  });
  assert.throws(() => linesOf("f", ""), /line 1 of "f": the file is empty$/);
});

Deno.test("count reads whole numbers up to what 64 bits hold, and nothing else", () => {
  assert.equal(count("0", "f", 1), 0);
  assert.equal(count("00042", "f", 1), 42);
  assert.equal(count("18446744073709551615", "f", 1), 2 ** 64);
  for (const word of ["", "-1", "1.0", "1e3", "0x1", " 1", "NaN", "1".repeat(21), undefined]) {
    assert.throws(() => count(word, "f", 7), /^SyntaxError: Cannot parse line 7 of "f": expected/);
  }
});

Deno.test("integer reads a sign too", () => {
  assert.equal(integer("-1", "f", 1), -1);
  assert.equal(integer("5", "f", 1), 5);
  assert.throws(() => integer("--1", "f", 1), SyntaxError);
  assert.throws(() => integer("-", "f", 1), SyntaxError);
});

Deno.test("quoted is short, and safe on a terminal", () => {
  assert.equal(quoted("\u001b[31m" + "x".repeat(100)), `"\\u001b[31m${"x".repeat(35)}"`);
  assert.equal(quoted(undefined), "nothing");
  assert.ok(nonsense("f", 3, "why") instanceof SyntaxError);
});
