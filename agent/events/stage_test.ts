import assert from "node:assert/strict";
import { Stage } from "./stage.ts";

Deno.test("a stage counts occurrences, not events, by probe", () => {
  const stage = new Stage("queue");
  stage.produced({ probe: "tcpreset", count: 23 });
  stage.delivered({ probe: "tcpreset", count: 7 });
  stage.lost({ probe: "tcpreset", count: 11 });
  stage.produced({ probe: "packetloss", count: 3 });
  assert.deepEqual(stage.counts(), [
    { probe: "tcpreset", stage: "queue", produced: 23, delivered: 7, lost: 11, waiting: 5 },
    { probe: "packetloss", stage: "queue", produced: 3, delivered: 0, lost: 0, waiting: 3 },
  ]);
  assert.deepEqual(stage.sum(), { produced: 26, delivered: 7, lost: 11 });
});

Deno.test("totals from the kernel replace each other, and add up when out of step", () => {
  const stage = new Stage("ring");
  stage.set("tcpreset", 100, 10);
  stage.set("tcpreset", 120, 10);
  stage.set("packetloss", 5, 7);
  assert.deepEqual(stage.sum(), { produced: 127, delivered: 110, lost: 17 });
});
