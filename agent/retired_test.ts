import { deepEqual, equal } from "node:assert/strict";
import { Retired } from "./retired.ts";
import { type Collection, type Owner, Registry } from "./series.ts";

const METRICS = {
  flow_bytes_total: { type: "counter", help: "Bytes", labels: ["direction"], seriesMax: 2 },
} as const;
const NETNS = { inum: 0xf0000058, cookie: 9n };
const OWNER: Owner = { key: "shop/cart", namespace: "shop", pod: "cart" };

function values(collection: Collection): readonly (readonly [string, number])[] {
  const all: [string, number][] = [];
  collection.forEach("flow_bytes_total", (_owner, labels, value) => {
    all.push([labels.values.join(), value]);
  });
  return all;
}

Deno.test("what retires is in each collection from then on, by its labels", () => {
  const retired = new Retired();
  const registry = new Registry();
  retired.add(NETNS, "flow_bytes_total", ["sent"], 13);
  retired.add(NETNS, "flow_bytes_total", ["sent"], 17);
  retired.add(NETNS, "flow_bytes_total", ["received"], 5);
  for (let times = 0; times < 2; times++) {
    const collection = registry.begin();
    collection.declare("flow", METRICS);
    retired.addTo(collection, () => OWNER);
    deepEqual(values(collection), [["sent", 30], ["received", 5]]);
  }
});

Deno.test("what a namespace retired goes with it, and makes room", () => {
  const retired = new Retired();
  for (let index = 0; index < 65_536; index++) {
    equal(retired.hasRoom, true);
    retired.add(NETNS, "flow_bytes_total", [`${index}`], 1);
  }
  equal(retired.hasRoom, false);
  const collection = new Registry().begin();
  collection.declare("flow", METRICS);
  retired.addTo(collection, () => undefined);
  deepEqual(values(collection), []);
  equal(retired.hasRoom, true);
});
