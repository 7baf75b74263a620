import assert from "node:assert/strict";
import { FakeTerminal } from "../../tests/fake_terminal.ts";
import { tellingMissing } from "./collect_missing.ts";

async function* cut(text: string, length: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += length) {
    yield await Promise.resolve(text.slice(at, at + length));
  }
}

function document(...missing: readonly (readonly unknown[])[]): string {
  const all = missing.map((each) => JSON.stringify(each));
  const evil = JSON.stringify('"missing":[{"part":"rules","because":"evil"}]');
  const namespaces = all.slice(1).map((each, at) =>
    `{"netns":${at},"nft":${evil},"missing":${each}}`
  );
  return `{"format":"podskoop-snapshot","namespaces":[\n${namespaces.join(",\n")}\n],` +
    `"missing":${all[0]}}\n`;
}

Deno.test("what a snapshot lacks is told, however it is cut, and it stays as it is", async () => {
  const none: readonly unknown[] = [];
  const because = 'There is no "ipset": \x1b[31minstall it';
  const cases = [
    [document(none, none, none), ""],
    [
      document(none, none, [{ part: "ipset", because }, { part: "nft", because: "No" }], none),
      'in one place, first ipset: There is no "ipset": .*install it\n$',
    ],
    [
      document([{ part: "namespaces", because: "No" }], [{ part: "all", because: "Late" }]),
      "The snapshot is not complete: something is missing in 2 places, first all: Late\n$",
    ],
  ] as const;
  for (const [text, words] of cases) {
    for (const length of [1, 7, 64, 100_000]) {
      const terminal = new FakeTerminal();
      const pieces = await Array.fromAsync(tellingMissing(cut(text, length), terminal));
      assert.equal(pieces.join(""), text);
      if (words === "") assert.equal(terminal.stderr, "");
      else assert.match(terminal.stderr, new RegExp(words));
      assert(!terminal.stderr.includes("\x1b"));
    }
  }
});
