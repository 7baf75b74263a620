import { deepEqual, equal } from "node:assert/strict";
import { Retired } from "./retired.ts";
import { type Collection, type Owner, Registry } from "./series.ts";

const METRICS = {
  flow_bytes_total: { type: "counter", help: "Bytes", labels: ["direction"], seriesMax: 2 },
} as const;
const POD = { netns: { inum: 0xf0000058, cookie: 9n }, cgroup: 0n };
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
  retired.add(POD, "flow_bytes_total", ["sent"], 13);
  retired.add(POD, "flow_bytes_total", ["sent"], 17);
  retired.add(POD, "flow_bytes_total", ["received"], 5);
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
    retired.add(POD, "flow_bytes_total", [`${index}`], 1);
  }
  equal(retired.hasRoom, false);
  const collection = new Registry().begin();
  collection.declare("flow", METRICS);
  retired.addTo(collection, () => undefined);
  deepEqual(values(collection), []);
  equal(retired.hasRoom, true);
});

Deno.test("what a cgroup retired goes without what its namespace has", () => {
  const retired = new Retired();
  const guest = { ...POD, cgroup: 7n };
  const registry = new Registry();
  retired.add(POD, "flow_bytes_total", ["sent"], 13);
  retired.add(guest, "flow_bytes_total", ["received"], 17);
  const left = [[["sent", 13], ["received", 17]], [["sent", 13]]];
  for (const cgroups of [[0n, 7n], [0n]]) {
    const collection = registry.begin();
    collection.declare("flow", METRICS);
    retired.addTo(collection, ({ cgroup }) => cgroups.includes(cgroup) ? OWNER : undefined);
    deepEqual(values(collection), left.shift());
  }
});
