// testdata/: Linux 6.18.44; `tc -s qdisc` said the same in the namespaces.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import qdisc from "./qdisc.ts";

const HEADING = "device kind handle parent bytes packets drops overlimits requeues qlen backlog\n";

function valuesOfRows(rows: string): ReadonlyMap<string, number> {
  return valuesOf(qdisc, { "netlink/qdiscs": HEADING + rows });
}

Deno.test("qdisc counts a device by its root, so that mq's children do not count twice", () => {
  const values = valuesOf(qdisc, captured(qdisc, "netns"));
  assert.equal(values.get("qdisc_device_bytes_total{device=v0,kind=mq}"), 7950);
  assert.equal(values.get("qdisc_device_drops_total{device=v1,kind=tbf}"), 320);
  assert.equal(values.get("qdisc_device_bytes_total{device=v0,kind=clsact}"), 0);
  assert.equal(values.get("qdisc_bytes_total"), 8076 + 7950);
  assert.equal(values.get("qdisc_packets_total"), 18 + 15);
  assert.equal([...values.keys()].some((key) => key.includes("pfifo_fast")), false);
});

Deno.test("qdisc takes each metric from its column", () => {
  const values = valuesOfRows("e0 tbf 10000 ffffffff 2 3 5 7 11 13 17\n");
  const place = "{device=e0,kind=tbf}";
  for (const [labels, part] of [["", ""], [place, "device_"]] as const) {
    assert.equal(values.get(`qdisc_${part}bytes_total${labels}`), 2);
    assert.equal(values.get(`qdisc_${part}packets_total${labels}`), 3);
    assert.equal(values.get(`qdisc_${part}drops_total${labels}`), 5);
    assert.equal(values.get(`qdisc_${part}overlimits_total${labels}`), 7);
    assert.equal(values.get(`qdisc_${part}requeues_total${labels}`), 11);
    assert.equal(values.get(`qdisc_${part}length_packets${labels}`), 13);
    assert.equal(values.get(`qdisc_${part}backlog_bytes${labels}`), 17);
  }
  assert.equal(values.size, 14);
});

Deno.test("qdisc sums what devices send, so clsact is in no sum and noqueue has no series", () => {
  const values = valuesOfRows(
    "e0 clsact ffff0000 fffffff1 2 2 2 2 2 2 2\nlo noqueue 0 ffffffff 0 0 0 0 0 0 0\n",
  );
  assert.equal(values.get("qdisc_bytes_total"), 0);
  assert.equal(values.get("qdisc_device_drops_total{device=e0,kind=clsact}"), 2);
  assert.equal(values.size, 14);
  assert.equal(valuesOfRows("").size, 7);
});

Deno.test("qdisc says which line makes no sense", () => {
  const cases: Record<string, RegExp> = {
    "e0 tbf 1 ffffffff 1\n": /^Cannot parse line 2 of "netlink\/qdiscs": 5 words, expected 11$/,
    "e0 t/f 1 ffffffff 1 1 1 1 1 1 1\n": /expected a kind, found "t\/f"$/,
    "e0 tbf 1 root 1 1 1 1 1 1 1\n": /expected a hexadecimal number, found "root"$/,
    "e0 tbf 1 ffffffff 1 1 1 1 1 1 x\n": /expected a number, found "x"$/,
    [`${"e".repeat(16)} tbf 1 ffffffff 1 1 1 1 1 1 1\n`]: /expected a device/,
    ["e0 tbf 1 ffffffff 1 1 1 1 1 1 1\n".repeat(2)]: /line 3 .*: the device "e0" has two of/,
  };
  for (const [rows, message] of Object.entries(cases)) {
    assert.throws(() => valuesOfRows(rows), { name: "SyntaxError", message });
  }
});
