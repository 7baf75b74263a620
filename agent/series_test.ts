import { deepStrictEqual, throws } from "node:assert/strict";
import type { LabelSet } from "./column.ts";
import type { Metrics } from "./metric.ts";
import { type Collection, HOST, type Owner, Registry } from "./series.ts";

const CARDS: Metrics = {
  netdev_receive_bytes_total: { type: "counter", help: "Bytes received", unit: "bytes" },
  netdev_device_bytes_total: {
    type: "counter",
    help: "Bytes received by a device",
    unit: "bytes",
    labels: ["device"],
    seriesMax: 2,
  },
};
const POD: Owner = { key: "pod/shop/cart", namespace: "shop", pod: "cart" };

function seriesOf(collection: Collection, name: string) {
  const series: { owner: Owner; labels: LabelSet; value: number }[] = [];
  collection.forEach(name, (owner, labels, value) => series.push({ owner, labels, value }));
  return series;
}

function valuesOf(registry: Registry, add: readonly [Owner, string, number][]) {
  const collection = registry.begin();
  collection.declare("netdev", CARDS);
  for (const [owner, device, value] of add) {
    collection.add("netdev_device_bytes_total", owner, [device], value);
  }
  return seriesOf(collection, "netdev_device_bytes_total").map(({ owner, labels, value }) => [
    owner.pod,
    labels.values[0],
    value,
  ]);
}

Deno.test("a collection adds up two values of one series", () => {
  const collection = new Registry().begin();
  collection.declare("netdev", CARDS);
  collection.add("netdev_receive_bytes_total", POD, [], 17);
  collection.add("netdev_receive_bytes_total", POD, [], 6);
  collection.add("netdev_receive_bytes_total", HOST, [], 1);
  const values = seriesOf(collection, "netdev_receive_bytes_total");
  deepStrictEqual(values.map(({ value }) => value), [23, 1]);
});

Deno.test("a metric folds label sets over its bound into other, per pod, and counts them", () => {
  const registry = new Registry();
  const found = valuesOf(registry, [
    [POD, "eth0", 1],
    [POD, "eth1", 2],
    [POD, "eth2", 3],
    [POD, "eth3", 4],
    [HOST, "eth9", 5],
  ]);
  deepStrictEqual(found, [
    ["cart", "eth0", 1],
    ["cart", "eth1", 2],
    ["cart", "other", 7],
    ["", "eth9", 5],
  ]);
  deepStrictEqual([...registry.folded()], [["netdev_device_bytes_total", 2]]);
});

Deno.test(
  "an admitted label set stays admitted, whatever comes first in a later " +
    "collection",
  () => {
    const registry = new Registry();
    valuesOf(registry, [[POD, "eth0", 1], [POD, "eth1", 2], [POD, "eth2", 3]]);
    deepStrictEqual(valuesOf(registry, [[POD, "eth2", 3], [POD, "eth1", 2], [POD, "eth0", 1]]), [
      ["cart", "eth0", 1],
      ["cart", "eth1", 2],
      ["cart", "other", 3],
    ]);
  },
);

Deno.test(
  "a label set that is gone for a while makes room, and one that was folded stays " +
    "folded",
  () => {
    const registry = new Registry();
    valuesOf(registry, [[HOST, "veth0", 1], [HOST, "veth1", 2], [HOST, "veth2", 3]]);
    for (let collection = 0; collection < 4; collection++) {
      valuesOf(registry, [[HOST, "veth1", 2], [HOST, "veth2", 3]]);
    }
    deepStrictEqual(
      valuesOf(registry, [[HOST, "veth1", 2], [HOST, "veth2", 3], [HOST, "veth3", 4]]),
      [
        ["", "veth1", 2],

        ["", "other", 3],
        ["", "veth3", 4],
      ],
    );
  },
);

Deno.test("keepOnly forgets an owner's label sets, so that a later pod has its own bound", () => {
  const registry = new Registry();
  valuesOf(registry, [[POD, "eth0", 1], [POD, "eth1", 2]]);
  registry.keepOnly(new Set());
  deepStrictEqual(valuesOf(registry, [[POD, "eth7", 7]]), [["cart", "eth7", 7]]);
});

Deno.test("neverLess keeps what a member that left had counted", () => {
  const registry = new Registry();
  const counted = [100, 130, 50, 60, 10].map((sum) => {
    const collection = registry.begin();
    collection.declare("netdev", CARDS);
    collection.add("netdev_receive_bytes_total", POD, [], sum);
    collection.neverLess("netdev_receive_bytes_total");
    return seriesOf(collection, "netdev_receive_bytes_total").map(({ value }) => value);
  });
  deepStrictEqual(counted, [[100], [130], [130], [140], [140]]);
});

Deno.test(
  "a series that a collection has not got is not in it, although an earlier one " +
    "had it",
  () => {
    const registry = new Registry();
    valuesOf(registry, [[POD, "eth0", 1]]);
    deepStrictEqual(valuesOf(registry, [[HOST, "eth0", 2]]), [["", "eth0", 2]]);
  },
);

Deno.test("adding to a metric that no unit declares names the metric", () => {
  throws(() => new Registry().begin().add("nonsense", HOST, [], 1), /metric "nonsense"/);
});

Deno.test("a late owner keeps its values, from the collection before and no earlier", () => {
  const registry = new Registry();
  const collect = (late: readonly Owner[], values: readonly [Owner, number][]) => {
    const collection = registry.begin();
    collection.declare("netdev", CARDS, late);
    for (const [owner, value] of values) {
      collection.add("netdev_receive_bytes_total", owner, [], value);
      collection.add("netdev_device_bytes_total", owner, ["eth0"], value);
    }
    const found = ["netdev_receive_bytes_total", "netdev_device_bytes_total"].map((name) =>
      seriesOf(collection, name).map(({ owner, value }) => [owner.key, value])
    );
    deepStrictEqual(collection.sizes().get("netdev"), found.flat().length);
    deepStrictEqual(found[1]?.toSorted(), found[0]?.toSorted());
    return found[0]?.toSorted();
  };
  deepStrictEqual(collect([POD], [[HOST, 2], [POD, 3]]), [["host", 2], ["pod/shop/cart", 3]]);
  deepStrictEqual(collect([POD], [[HOST, 5]]), [["host", 5], ["pod/shop/cart", 3]]);
  deepStrictEqual(collect([POD], [[HOST, 7]]), [["host", 7], ["pod/shop/cart", 3]]);
  deepStrictEqual(collect([], [[POD, 11]]), [["pod/shop/cart", 11]]);
  // Switched off for a collection: what it had is from before.
  registry.begin();
  deepStrictEqual(collect([POD], [[HOST, 13]]), [["host", 13]]);
});
