import assert from "node:assert/strict";
import { judge, parseSummary } from "./suites.ts";

const TESTS = { gives: "tests" } as const;

Deno.test("suites reads the last summary, with steps, colours and ignored tests", () => {
  assert.deepEqual(parseSummary("ok | 5 passed | 0 failed (1s)\n"), {
    passed: 5,
    failed: 0,
    ignored: 0,
  });
  assert.deepEqual(
    parseSummary(
      "ok | 1 passed | 0 failed\n\x1b[31mFAILED\x1b[0m | 23 passed (2 steps) | 3 failed (1 step)" +
        " | 2 ignored (1 step) | 4 filtered out \x1b[90m(2s)\x1b[0m\n\nerror: Test failed\n",
    ),
    { passed: 23, failed: 3, ignored: 2 },
  );
  assert.equal(parseSummary("it says ok | 5 passed | 0 failed\n"), undefined);
});

Deno.test("suites fails a suite that has no test, leaves one out, or breaks off", () => {
  assert.deepEqual(judge(TESTS, true, "ok | 7 passed | 0 failed (1s)"), { passed: 7, failed: 0 });
  assert.equal(judge(TESTS, true, "ok | 0 passed | 0 failed (0ms)").failed, 1);
  assert.equal(judge(TESTS, true, "ok | 7 passed | 0 failed | 2 ignored (1s)").failed, 2);
  assert.equal(judge(TESTS, false, "ok | 7 passed | 0 failed (1s)").failed, 1);
  assert.equal(judge(TESTS, false, "error: Module not found").failed, 1);
  assert.equal(judge(TESTS, true, "").failed, 1);
  assert.deepEqual(judge(TESTS, false, "FAILED | 7 passed | 2 failed (1s)"), {
    passed: 7,
    failed: 2,
  });
});

Deno.test("suites takes a check at its word", () => {
  assert.deepEqual(judge({ gives: "verdict" }, true, ""), { passed: 0, failed: 0 });
  assert.equal(judge({ gives: "verdict" }, false, "ok | 7 passed | 0 failed").failed, 1);
});
