import assert from "node:assert/strict";
import { FakeTerminal } from "../../tests/fake_terminal.ts";
import { tellingWait } from "./patience.ts";

Deno.test("a wait is told again and again where somebody looks, until it is over", async () => {
  const terminal = new FakeTerminal(80);
  {
    using _wait = tellingWait("Collecting", terminal, 10, 20);
    await terminal.until(() => terminal.stderr.split("\n").length > 3);
  }
  const before = terminal.stderr;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(terminal.stderr, before);
  assert.match(before, /^(Collecting: \d+ s so far\n){3,}$/);
});

Deno.test("a wait is told to no pipe, and to nobody before it is long", async () => {
  for (const [columns, first] of [[undefined, 10], [80, 600_000]] as const) {
    const terminal = new FakeTerminal(columns);
    using _wait = tellingWait("Collecting", terminal, first, 10);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(terminal.stderr, "");
  }
});
