import assert from "node:assert/strict";
import { BODY_BYTES_MAX, readBody } from "./body.ts";

const request = (body: BodyInit | null) => new Request("http://a/", { method: "POST", body });

Deno.test("a body comes whole, up to its bound, and says what it is when it does not", async () => {
  assert.equal(await readBody(request("é"), "the question"), "é");
  assert.equal(await readBody(request(null), "the question"), "");
  const largest = "#".repeat(BODY_BYTES_MAX);
  assert.equal(await readBody(request(largest), "the question"), largest);
  const cases: [BodyInit, number, RegExp][] = [
    [largest + "#", 413, /^Cannot take the question as it must have at most 1048576 bytes/],
    [new Uint8Array([0xff]), 400, /^Cannot read the question as it must be UTF-8 text$/],
    [new ReadableStream(), 408, /^Cannot read the question as it must arrive within 20 ms/],
  ];
  for (const [body, status, expected] of cases) {
    const answer = await readBody(request(body), "the question", 20);
    assert.ok(answer instanceof Response);
    assert.equal(answer.status, status);
    assert.match((await answer.json()).error, expected);
  }
});
