import assert from "node:assert/strict";
import { filterOf, pageQuery, streamQuery } from "./event_query.ts";
import { QueryError, readQuery } from "./query.ts";

/** What is said of a query that is wrong. */
function refusal(text: string, schema: typeof pageQuery | typeof streamQuery = pageQuery): string {
  const sent = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    sent.set(name, [...sent.get(name) ?? [], value]);
  }
  try {
    filterOf(readQuery(schema, Object.fromEntries(sent)), 1_780_000_000_000);
  } catch (error) {
    assert.ok(error instanceof QueryError);
    return error.message;
  }
  return "";
}

Deno.test("a wrong parameter is named, with its value and what is allowed", () => {
  assert.equal(refusal("limit=0"), 'Cannot use limit="0": allowed is 1 to 10000');
  assert.equal(
    refusal("since=yesterday"),
    'Cannot use since="yesterday": allowed is a time such as 2026-01-31T09:30:00Z (RFC 3339), ' +
      "milliseconds since the epoch, or how long ago, such as 90s, 10m or 1h30m",
  );
  assert.equal(
    refusal("typ=PACKETLOSS"),
    'Cannot use the parameter "typ": allowed parameters are since, type, namespace, pod, node, ' +
      "after, until, limit, cursor",
  );
  assert.equal(
    refusal("cursor=12x"),
    'Cannot use cursor="12x": allowed is the "cursor" of the page before',
  );
  assert.equal(
    refusal("since=2m&until=5m"),
    'Cannot use since="2m" with until="5m": since must not be later',
  );
  assert.equal(
    refusal("pod=a/b&namespace=c"),
    'Cannot use namespace="c" with pod="a/b": they differ',
  );
  assert.match(refusal("limit=5", streamQuery), /^Cannot use the parameter "limit"/);
});

Deno.test("parameters that make no sense are refused", () => {
  const wrong = [
    "limit=10001",
    "limit=1e3",
    "limit=-1",
    "limit=5&limit=6",
    "since=1780000000", // seconds
    "since=1780000000000000", // microseconds
    "since=2026-01-31",
    "since=2026-01-31T09:30:00",
    "since=2026-01-31T25:30:00Z",
    "until=10 m",
    "until=m",
    "cursor=-1",
    "after=12345678901234567890",
    "type=A;DROP TABLE",
    `type=${"A,".repeat(65)}`,
    `pod=${"x".repeat(254)}`,
    "pod=a/b/c",
    "namespace=a b",
    "__proto__=1",
    "constructor=1",
  ];
  for (const query of wrong) {
    assert.match(refusal(query), /^Cannot use /, query);
  }
});

Deno.test("a parameter without a value is as one that is not sent", () => {
  assert.deepEqual(readQuery(pageQuery, { pod: [""], type: ["", ","], limit: ["", "7"] }), {
    limit: "7",
  });
});

Deno.test("types that the predecessor's documents misprint stand for the right ones", () => {
  const query = readQuery(pageQuery, { type: ["tcp_nosock,RTKERNEL_SLOW", "PACKETLOSS"] });
  assert.deepEqual(filterOf(query, 0).type, ["TCPRESET_NOSOCK", "TXKERNEL_SLOW", "PACKETLOSS"]);
});

Deno.test("types that have small letters are found however they are written", () => {
  const query = readQuery(pageQuery, { type: ["conntracknew", "ConntrackDestroy"] });
  assert.deepEqual(filterOf(query, 0).type, ["ConntrackNew", "ConntrackDestroy"]);
});
