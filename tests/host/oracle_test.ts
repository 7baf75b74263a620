/**
 * The walk's judge, for as many packets as CI has time for: random networks of real namespaces,
 * and what the kernel really did with each packet.
 *
 * Needs root. `make oracle SEED=… RUNS=…` does more.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runOracle } from "../oracle/oracle.ts";

const SEED = 1;
const PACKETS = 120;
/** Of networks in which the walk was wrong once. */
const ONCE_WRONG = [
  ...[1_000_123, 1_000_681, 1_000_916, 20_000_415, 60_000_228, 70_000_094, 110_000_344],
  // Rules about who asks for a neighbour; a loop of routes with two next hops.
  ...[120_000_113, 120_000_935, 120_001_018],
  // A third packet of which it is not known whether it passes.
  700_000_028,
];

Deno.test("the walk says of packets in random networks what the kernel does", async () => {
  const lines: string[] = [];
  const { tally, mismatches } = await runOracle(SEED, PACKETS, (line) => void lines.push(line));
  assert.deepEqual(lines, []);
  assert.equal(mismatches.length, 0);
  assert.ok(tally.packets >= PACKETS, JSON.stringify(tally));
  // A judge that hears of nothing, or of nothing but silence, has judged nothing.
  assert.ok(tally.reachable > tally.packets / 5, JSON.stringify(tally));
  assert.ok(tally.packets - tally.reachable > tally.packets / 5, JSON.stringify(tally));
  assert.ok(tally.unknown < tally.packets / 20, JSON.stringify(tally));
});

Deno.test("the walk is right where it was wrong once", async () => {
  const lines: string[] = [];
  for (const seed of ONCE_WRONG) {
    const { tally } = await runOracle(seed, 1, (line) => void lines.push(line));
    assert.ok(tally.packets > 10, JSON.stringify(tally));
  }
  assert.deepEqual(lines, []);
});
