import assert from "node:assert/strict";
import { cut, paint, table, terminalSize, wrap } from "./terminal.ts";

const COLUMNS = [
  { title: "NAME", cut: true },
  { title: "N", align: "right" },
  { title: "WHAT", cut: true },
] as const;

Deno.test("a table is as wide as its cells where nobody looks", () => {
  const text = table(COLUMNS, [["a", "17", "x".repeat(200)]], {
    columns: undefined,
    colour: false,
  });
  assert.equal(text, `NAME   N  WHAT\na     17  ${"x".repeat(200)}\n`);
});

Deno.test("a table that is too wide loses the ends of its widest cells", () => {
  const rows = [["name", "7", "y".repeat(200)], ["n".repeat(30), "17", "z"]];
  const lines = table(COLUMNS, rows, { columns: 60, colour: false }).trimEnd().split("\n");
  assert.equal(Math.max(...lines.map((line) => [...line].length)), 60);
  assert.match(lines[1] ?? "", /^name +7 {2}y+…$/);
});

Deno.test("cells that a terminal would act on are made printable, also where they are wide", () => {
  const text = table(COLUMNS, [["\x1b]0;x\x07", "\n", "é→日"]], { columns: 80, colour: false });
  assert.equal(text.split("\n")[1], "?]0;x?  ?  é→日");
});

Deno.test("colour takes no room, and there is none unless it is asked for", () => {
  const columns = [{ title: "S", colour: () => "red" as const }, { title: "T" }];
  assert.equal(
    table(columns, [["ab", "c"]], { columns: 80, colour: true }),
    "S   T\n\x1b[31mab\x1b[0m  c\n",
  );
  assert.equal(paint({ colour: false }, "red", "ab"), "ab");
});

Deno.test("text is cut with a mark and wrapped between words", () => {
  assert.equal(cut("abcdef", 4), "abc…");
  assert.equal(cut("abcd", 4), "abcd");
  assert.equal(wrap("one two three four", 9, "  "), "one two\n  three\n  four");
});

Deno.test("the last column may go on below itself instead of losing its end", () => {
  const columns = [{ title: "NAME" }, { title: "TELLS", wrap: true }];
  assert.equal(
    table(columns, [["fd", "one two three"], ["io", "four"]], { columns: 15, colour: false }),
    "NAME  TELLS\nfd    one two\n      three\nio    four\n",
  );
  assert.equal(
    table(columns, [["fd", "one two three"]], { columns: undefined, colour: false }),
    "NAME  TELLS\nfd    one two three\n",
  );
});

Deno.test("a terminal that does not know its size is taken for 80 columns and 24 lines", () => {
  assert.deepEqual(terminalSize({ columns: 0, rows: 0 }), { columns: 80, rows: 24 });
  assert.deepEqual(terminalSize({ columns: 132, rows: 43 }), { columns: 132, rows: 43 });
});

Deno.test("an output that is full is told in a sentence", async () => {
  const module = new URL("./terminal.ts", import.meta.url).href;
  const script = `import { openTerminal } from ${JSON.stringify(module)};
    try {
      openTerminal().out("x");
    } catch (error) {
      console.error(String(error));
    }`;
  const { stderr } = await new Deno.Command("sh", {
    args: ["-c", '"$0" eval --no-check "$1" > /dev/full', Deno.execPath(), script],
  }).output();
  assert.match(
    new TextDecoder().decode(stderr),
    /^Failure: Cannot write to the standard output: No space left on device/,
  );
});
