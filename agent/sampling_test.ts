import { strictEqual } from "node:assert/strict";
import { ProgramSampling } from "./sampling.ts";

/** Counts how often statistics were switched on and off. */
class Switch {
  on = 0;
  off = 0;
  #three = Promise.withResolvers<void>();

  enable(): Disposable {
    if (++this.on === 3) this.#three.resolve();
    return { [Symbol.dispose]: () => void this.off++ };
  }

  get thirdTime(): Promise<void> {
    return this.#three.promise;
  }
}

Deno.test("statistics are on by turns, never twice at once, and off in the end", async () => {
  const kernel = new Switch();
  let most = 0;
  const began = performance.now();
  const sampling = new ProgramSampling({
    enable: () => {
      const enabled = kernel.enable();
      most = Math.max(most, kernel.on - kernel.off);
      return enabled;
    },
    onMilliseconds: 3,
    everyMilliseconds: 20,
  });
  strictEqual(kernel.on, 1);
  await kernel.thirdTime;
  strictEqual(kernel.off, 2);
  sampling[Symbol.dispose]();
  const elapsed = (performance.now() - began) / 1_000;
  strictEqual(kernel.off, 3);
  strictEqual(most, 1);
  strictEqual(sampling.seconds > 0.003 && sampling.seconds < elapsed, true, `${sampling.seconds}`);
});

Deno.test("time does not go on once statistics are off", async () => {
  const kernel = new Switch();
  const sampling = new ProgramSampling({ enable: () => kernel.enable(), everyMilliseconds: 1e6 });
  sampling[Symbol.dispose]();
  const { seconds } = sampling;
  await new Promise((resolve) => setTimeout(resolve, 5));
  strictEqual(sampling.seconds, seconds);
  strictEqual(kernel.off, 1);
});

Deno.test("who may not switch statistics on is told so", () => {
  let message = "";
  try {
    using _sampling = new ProgramSampling({
      enable: () => {
        throw new Error("Cannot enable the run statistics of BPF programs: EPERM");
      },
    });
  } catch (error) {
    message = error instanceof Error ? error.message : "";
  }
  strictEqual(message, "Cannot enable the run statistics of BPF programs: EPERM");
});
