import assert from "node:assert/strict";
import { FakeTerminal } from "../../tests/fake_terminal.ts";
import { servePage } from "./diagnose_page.ts";

Deno.test("the page is shown until a signal, at its one path, and with its policy", async () => {
  const terminal = new FakeTerminal();
  const shown = servePage("<p>blocked</p>", { hostname: "127.0.0.1", port: 0 }, terminal);
  const url = /http:\S+/.exec(terminal.stderr)?.[0] ?? assert.fail(terminal.stderr);
  const page = await fetch(url);
  assert.equal(await page.text(), "<p>blocked</p>");
  assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
  const status = async (path: string, method: string) => {
    const response = await fetch(`${url}${path}`, { method });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status("etc/passwd", "GET"), 404);
  assert.equal(await status("", "POST"), 405);
  assert.equal(await status("", "HEAD"), 200);
  Deno.kill(Deno.pid, "SIGTERM");
  await shown;
  await assert.rejects(fetch(url));
});

Deno.test("the page says why it cannot be shown", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const shown = servePage("x", { hostname: "127.0.0.1", port }, new FakeTerminal());
  await assert.rejects(shown, new RegExp(`^Failure: Cannot show the page at 127.0.0.1:${port}: `));
  taken.close();
});
