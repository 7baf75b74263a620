import assert from "node:assert/strict";
import {
  afterSecondTry,
  beforeErrors,
  judge,
  onlyThese,
  parseFailures,
  parseSummary,
} from "./suites.ts";

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

const ENDED = `
 ERRORS 

drops are counted (IPv4) => ./tests/host/packetloss_test.ts:12:6
error: AssertionError: Expected values to be loosely deep-equal:

a => ./tests/host/not_one.ts:1:1

\x1b[1m FAILURES \x1b[0m

drops are counted (IPv4) => ./tests/host/packetloss_test.ts:12:6
\x1b[31mresets + a slash / too\x1b[0m => ./tests/host/tcpreset_test.ts:7:6

FAILED | 72 passed | 2 failed (2m56s)
`;
const FAILURES = [
  { name: "drops are counted (IPv4)", file: "tests/host/packetloss_test.ts" },
  { name: "resets + a slash / too", file: "tests/host/tcpreset_test.ts" },
];

Deno.test("suites finds the names of what failed, and asks for these alone", () => {
  assert.deepEqual(parseFailures(ENDED), FAILURES);
  assert.deepEqual(parseFailures("ok | 7 passed | 0 failed (1s)\n"), []);
  const [filter = "", ...files] = onlyThese(FAILURES);
  assert.deepEqual(files, FAILURES.map(({ file }) => file));
  const pattern = new RegExp(/^--filter=\/(.*)\/$/.exec(filter)?.[1] ?? "");
  for (const { name } of FAILURES) {
    assert.match(name, pattern);
    assert.doesNotMatch(`${name} and more`, pattern);
  }
});

Deno.test("suites lets a second try mend a suite only when all of it passes", () => {
  const first = { passed: 72, failed: 2 };
  const names = FAILURES.map(({ name }) => name);
  assert.deepEqual(afterSecondTry(first, { passed: 2, failed: 0 }, FAILURES), {
    passed: 74,
    failed: 0,
    unsteady: names,
  });
  for (const [passed, failed] of [[1, 1], [0, 2], [1, 0], [0, 1]] as const) {
    assert.equal(afterSecondTry(first, { passed, failed }, FAILURES), first);
  }
});

Deno.test("suites holds back why tests failed, until it is known whether they did", () => {
  const { shown, held } = beforeErrors(`drops are counted ... FAILED (7ms)\n${ENDED}`);
  assert.equal(shown, "drops are counted ... FAILED (7ms)\n\n");
  assert.equal(shown + held, `drops are counted ... FAILED (7ms)\n${ENDED}`);
  const passed = "no ERRORS here ... ok (5ms)\n\nok | 1 passed | 0 failed (1s)\n";
  assert.deepEqual(beforeErrors(passed), { shown: passed, held: "" });
});
