/**
 * Every collector's parser on 10,000 texts that were damaged at random: it gives samples that its
 * cards allow, or throws a SyntaxError, and is never slow. A failure names the seed; `FUZZ_SEED=N`
 * repeats it.
 */
import assert from "node:assert/strict";
import { cpuUsage } from "node:process";
import type { Collector } from "../agent/collector.ts";
import { discoverCollectors } from "../agent/discover.ts";
import type { Sample } from "../agent/metric.ts";
import { captured, capturesOf } from "./captures.ts";
import { damaged, randomOf } from "./damage.ts";

const INPUTS = 10_000;
/** For all inputs of one parser. */
const MILLISECONDS_MAX = 10_000;
const LABEL_MAX = 64;
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 20_251_121);

/** Throws when a sample is not what the collector's cards allow. */
function check(collector: Collector, sample: Sample): void {
  const card = collector.metrics[sample.metric];
  assert.ok(card !== undefined, `${sample.metric} has no card`);
  assert.ok(Number.isFinite(sample.value), `${sample.metric} is ${sample.value}`);
  assert.ok(card.type !== "counter" || sample.value >= 0, `${sample.metric} is ${sample.value}`);
  const labels: Readonly<Record<string, string>> = sample.labels ?? {};
  assert.deepEqual(Object.keys(labels).sort(), [...card.labels ?? []].sort());
  for (const value of Object.values(labels)) {
    assert.ok(value.length <= LABEL_MAX && !/\p{Cc}/u.test(value), JSON.stringify(value));
  }
}

for (const collector of await discoverCollectors()) {
  const { name } = collector;
  Deno.test(`${name} survives ${INPUTS} damaged texts`, () => {
    const random = randomOf(SEED);
    const captures = capturesOf(name).map((capture) => captured(collector, capture));
    const tally = { accepted: 0, refused: 0, milliseconds: 0 };
    for (let input = 0; input < INPUTS; input++) {
      const files = { ...captures[random(captures.length)] };
      const wrong = collector.source.files[random(collector.source.files.length)] ?? "";
      files[wrong] = damaged(files[wrong] ?? "", random);
      const reading = { host: random(2) === 0 };
      let samples: readonly Sample[] = [];
      const began = cpuUsage();
      try {
        samples = [...collector.parse(files, reading)];
        tally.accepted++;
      } catch (error) {
        const told = error instanceof SyntaxError && error.message.startsWith("Cannot parse line");
        assert.ok(told, `FUZZ_SEED=${SEED}, input ${input}: ${error}\n${JSON.stringify(files)}`);
        tally.refused++;
      }
      const { user, system } = cpuUsage(began);
      tally.milliseconds += (user + system) / 1_000;
      try {
        for (const sample of samples) check(collector, sample);
      } catch (error) {
        const where = `FUZZ_SEED=${SEED}, input ${input} of ${name}: ${JSON.stringify(files)}`;
        throw new Error(where, { cause: error });
      }
    }
    assert.ok(tally.accepted > 0 && tally.refused > 0, JSON.stringify(tally));
    assert.ok(tally.milliseconds < MILLISECONDS_MAX, JSON.stringify(tally));
  });
}
