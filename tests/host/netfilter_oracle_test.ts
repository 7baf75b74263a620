/**
 * Random rule sets in a real router: what becomes of real packets is what the rules were found to
 * say. `ORACLE_SEED=N` repeats a failure; `tests/oracle/netfilter.ts` runs as many as one likes.
 */
import assert from "node:assert/strict";
import { run } from "../oracle/netfilter.ts";

const SEED = Number(Deno.env.get("ORACLE_SEED") ?? 20_261);
const RUNS = 7;

Deno.test("this kernel does with packets what its rules were found to say", async () => {
  const { packets, unknown, mismatches, because } = await run(SEED, RUNS);
  assert.deepEqual(mismatches, []);
  assert.equal(packets, RUNS * 60);
  assert.ok(unknown < packets / 10, JSON.stringify([...because]));
});
