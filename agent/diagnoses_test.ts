import assert from "node:assert/strict";
import {
  type Answering,
  Diagnoses,
  DIAGNOSES_BYTES_MAX,
  DIAGNOSES_MAX,
  DIAGNOSES_WAITING_MAX,
} from "./diagnoses.ts";
import { DiagnosisError, type DiagnosisResult } from "./diagnosis_process.ts";
import { HttpCounts } from "./http_counts.ts";

const ANSWER: DiagnosisResult = {
  ...{ verdict: "reachable", summary: "reachable", notes: [], predecessor: "" },
  packed: new Uint8Array(1),
};

const question = (source: string) => ({ source, destination: "10.0.0.1", port: 80 });

function made(answer: Answering, millisecondsMax?: number) {
  const counts = new HttpCounts();
  return { counts, diagnoses: new Diagnoses(answer, counts, millisecondsMax) };
}

Deno.test("one diagnosis runs at a time, a few wait, and one more is refused", async () => {
  const began: string[] = [];
  let release = () => {};
  const { counts, diagnoses } = made(async ({ source }) => {
    began.push(source);
    await new Promise<void>((resolve) => release = resolve);
    return ANSWER;
  });
  const asked = Array.from(
    { length: DIAGNOSES_WAITING_MAX + 1 },
    (_, index) => diagnoses.ask(question(String(index))),
  );
  assert.ok(asked.every((each) => each !== undefined));
  assert.equal(diagnoses.ask(question("one more")), undefined);
  assert.equal(counts.diagnosesRefused, 1);
  await Promise.resolve();
  assert.deepEqual(began, ["0"]);
  release();
  await asked[0]?.done;
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(began, ["0", "1"]);
  assert.deepEqual(diagnoses.all().slice(-2).map(({ id, ended }) => [id, ended !== undefined]), [
    [2, false],
    [1, true],
  ]);
  assert.ok(diagnoses.ask(question("now it fits")) !== undefined);
  const closed = diagnoses.close();
  release();
  await closed;
  assert.match(diagnoses.all()[0]?.error?.message ?? "", /the agent stops/);
});

Deno.test("the last diagnoses are kept, by number and by bytes", async () => {
  const { counts, diagnoses } = made(() => Promise.resolve(ANSWER));
  for (let number = 0; number < DIAGNOSES_MAX + 3; number++) {
    await diagnoses.ask(question("a"))?.done;
  }
  assert.equal(diagnoses.all().length, DIAGNOSES_MAX);
  assert.equal(diagnoses.find(3), undefined);
  assert.equal(diagnoses.find(4)?.result, ANSWER);
  assert.equal(counts.diagnosesForgotten, 3);
  const packed = new Uint8Array(DIAGNOSES_BYTES_MAX / 2);
  const large = made(() => Promise.resolve({ ...ANSWER, packed }));
  for (const _ of [1, 2, 3]) await large.diagnoses.ask(question("a"))?.done;
  assert.deepEqual(large.diagnoses.all().map(({ id }) => id), [3, 2]);
  assert.equal(large.counts.diagnosesForgotten, 1);
});

Deno.test("a diagnosis fails with its own words, or at its deadline", async () => {
  const failing = made(() => Promise.reject(new DiagnosisError("Cannot find it", true)));
  const failed = failing.diagnoses.ask(question("a"));
  await failed?.done;
  assert.deepEqual(
    [failed?.error?.message, failed?.error?.isQuestion, failed?.error?.isLate],
    ["Cannot find it", true, false],
  );
  const { diagnoses } = made((_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    }), 10);
  const late = diagnoses.ask(question("a"));
  const waited = diagnoses.ask(question("b"));
  await waited?.done;
  for (const each of [late, waited]) {
    assert.equal(each?.error?.message, "Cannot diagnose within 0.01 s of being asked");
    assert.equal(each?.error?.isLate, true);
  }
});
