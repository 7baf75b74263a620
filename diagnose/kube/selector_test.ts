import assert from "node:assert/strict";
import { selects } from "./selector.ts";

const LABELS = { app: "web", tier: "front" };
const by = (key: string, operator: string, ...values: readonly string[]) =>
  selects({ matchLabels: {}, matchExpressions: [{ key, operator, values: [...values] }] }, LABELS);

Deno.test("a selector's labels and expressions all hold, and an empty one selects all", () => {
  assert.equal(selects({ matchLabels: {}, matchExpressions: [] }, {}), true);
  const both = { matchLabels: { app: "web" }, matchExpressions: [] };
  assert.equal(selects(both, LABELS), true);
  assert.equal(selects(both, { app: "cart" }), false);
  assert.equal(selects({ ...both, matchLabels: { app: "web", x: "y" } }, LABELS), false);
  assert.equal(selects({ ...both, matchLabels: { constructor: "x" } }, LABELS), false);
});

Deno.test("a selector's operators are as labels.Selector has them", () => {
  assert.deepEqual([by("app", "In", "web", "x"), by("app", "In", "x"), by("no", "In", "x")], [
    ...[true, false, false],
  ]);
  assert.deepEqual(
    [by("app", "NotIn", "web"), by("app", "NotIn", "x"), by("no", "NotIn", "x")],
    [false, true, true],
  );
  assert.deepEqual([by("app", "Exists"), by("no", "Exists")], [true, false]);
  assert.deepEqual([by("app", "DoesNotExist"), by("no", "DoesNotExist")], [false, true]);
  assert.equal(by("app", "Near", "web"), "unknown");
});
