/**
 * Random rule sets in a real router: what becomes of real packets is what the rules were found to
 * say. `ORACLE_SEED=N` repeats a failure; `tests/oracle/netfilter.ts` runs as many as one likes.
 */
import assert from "node:assert/strict";
import { run } from "../oracle/netfilter.ts";

const SEED = Number(Deno.env.get("ORACLE_SEED") ?? 20_261);
const RUNS = 7;
/** Of rules that ask for more. */
const MORE_SEED = Number(Deno.env.get("ORACLE_SEED") ?? 700_002_000);
const MORE_RUNS = 5;

Deno.test("this kernel does with packets what its rules were found to say", async () => {
  const { packets, unknown, mismatches, because } = await run(SEED, RUNS);
  assert.deepEqual(mismatches, []);
  assert.equal(packets, RUNS * 60);
  assert.ok(unknown < packets / 10, JSON.stringify([...because]));
});

Deno.test("this kernel does what rules were found to say that ask for more", async () => {
  const { packets, unknown, mismatches, because } = await run(MORE_SEED, MORE_RUNS);
  assert.deepEqual(mismatches, []);
  assert.equal(packets, MORE_RUNS * 60);
  assert.ok(unknown < packets / 10, JSON.stringify([...because]));
});
