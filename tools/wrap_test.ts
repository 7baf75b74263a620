import assert from "node:assert/strict";
import { wrapped } from "./wrap.ts";

const WORDS = "word ".repeat(24).trim(); // 119 columns

/** Twenty-four words, at most `columns` wide, each line after a prefix. */
function expected(prefix: string, first: number): string {
  const one = `${prefix}${"word ".repeat(first).trim()}`;
  return `${one}\n${prefix}${"word ".repeat(24 - first).trim()}`;
}

Deno.test("wrap breaks a long comment before column 101, in each form", () => {
  assert.equal(wrapped(`// ${WORDS}\nf();`), `${expected("// ", 19)}\nf();`);
  assert.equal(wrapped(`  // ${WORDS}\n`), `${expected("  // ", 19)}\n`);
  assert.equal(wrapped(`/**\n * ${WORDS}\n */`), `/**\n${expected(" * ", 19)}\n */`);
  assert.equal(wrapped(`\t/* ${WORDS} */`), `\t/*\n${expected("\t * ", 18)}\n\t */`);
  assert.equal(wrapped(`  /** ${WORDS} */\nf();`), `  /**\n${expected("   * ", 19)}\n   */\nf();`);
});

Deno.test("wrap fills the paragraph on, and stops at its end", () => {
  assert.equal(
    wrapped(`// ${WORDS}\n// more\n//\n// last`),
    `${expected("// ", 19)} more\n//\n// last`,
  );
  assert.equal(wrapped(`// ${WORDS}\n  // other`), `${expected("// ", 19)}\n  // other`);
});

Deno.test("wrap lets an item of a list, and a tag, hang by two", () => {
  const rest = "  " + "word ".repeat(5).trim();
  assert.equal(
    wrapped(` * - ${WORDS}\n *   more\n * - next\n`),
    ` * - ${"word ".repeat(19).trim()}\n * ${rest} more\n * - next\n`,
  );
  assert.equal(
    wrapped(`// @throws ${WORDS}`),
    `// @throws ${"word ".repeat(18).trim()}\n// ${rest} word`,
  );
});

Deno.test("wrap changes nothing that fits, and nothing that is no prose", () => {
  for (
    const text of [
      "// short\n// lines\nf();\n",
      ` * | ${WORDS} |\n`,
      ` *     ${WORDS}\n`,
      `// deno-lint-ignore ${WORDS}\n`,
      `f(); // ${WORDS}\n`,
      `const a = "${WORDS}";\n`,
      " * ```\n",
    ]
  ) assert.equal(wrapped(text), text);
});

Deno.test("wrap does the same thing twice", () => {
  const once = wrapped(`/** ${WORDS} ${WORDS} */\n// ${WORDS}\n`);
  assert.equal(wrapped(once), once);
});
