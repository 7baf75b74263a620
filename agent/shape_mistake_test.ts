import assert from "node:assert/strict";
import * as v from "valibot";
import { mistakeOf } from "./shape_mistake.ts";

const shape = v.strictObject({
  name: v.string(),
  port: v.optional(v.pipe(v.number(), v.integer(), v.maxValue(65_535))),
  kind: v.optional(v.picklist(["tcp", "udp"])),
  range: v.optional(v.pipe(v.string(), v.regex(/^\d+-\d+$/, "it is no range like 80-90"))),
});

Deno.test("mistakeOf() says where and what would be right, and never the value", () => {
  for (
    const [given, words] of [
      [{}, 'at "name": it is missing'],
      [{ name: 7919 }, 'at "name": it must be string'],
      [{ name: "a", secret: "7919" }, 'at "secret": there is no such key'],
      [{ name: "a", port: 70_000 }, 'at "port": it must be <=65535'],
      [{ name: "a", port: 79.19 }, 'at "port": it is no valid integer'],
      [{ name: "a", kind: "7919" }, 'at "kind": it must be ("tcp" | "udp")'],
      [{ name: "a", range: "7919" }, 'at "range": it is no range like 80-90'],
      ["7919", "at its top: it must be a mapping"],
    ] as const
  ) {
    const parsed = v.safeParse(shape, given);
    assert.equal(mistakeOf(parsed.issues?.[0] ?? assert.fail()), words);
  }
});
