// testdata/: Linux 6.18.44 with two CPUs; `cat /proc/1/net/softnet_stat`.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import softnet from "./softnet.ts";

/**
 * A row whose columns each have a value of their own: 1 in the first, 2 in the second, and so on.
 */
function row(columns: number, cpu?: number): string {
  const values = Array.from({ length: columns }, (_, index) => index + 1);
  if (cpu !== undefined) values[12] = cpu;
  return `${values.map((value) => value.toString(16).padStart(8, "0")).join(" ")}\n`;
}

function valuesOfText(text: string): ReadonlyMap<string, number> {
  return valuesOf(softnet, { "net/softnet_stat": text });
}

Deno.test("softnet reads a capture", () => {
  const files = captured(softnet, "host");
  const values = valuesOf(softnet, files, { host: true });
  assert.equal(values.size, 18);
  const [, second = ""] = files["net/softnet_stat"].split("\n");
  assert.equal(
    values.get("softnet_processed_total{cpu=1}"),
    Number.parseInt(second.slice(0, 8), 16),
  );
});

Deno.test("softnet takes each metric from its column", () => {
  assert.deepEqual(Object.fromEntries(valuesOfText(row(15, 0))), {
    "softnet_processed_total{cpu=0}": 1,
    "softnet_dropped_total{cpu=0}": 2,
    "softnet_time_squeezed_total{cpu=0}": 3,
    "softnet_cpu_collision_total{cpu=0}": 9,
    "softnet_received_rps_total{cpu=0}": 10,
    "softnet_flow_limit_total{cpu=0}": 11,
    "softnet_backlog_packets{cpu=0}": 12,
    "softnet_input_queue_packets{cpu=0}": 14,
    "softnet_process_queue_packets{cpu=0}": 15,
  });
});

Deno.test("softnet numbers rows by the CPU column, because offline CPUs have no row", () => {
  const values = valuesOfText(row(13, 0) + row(13, 2));
  assert.equal(values.get("softnet_dropped_total{cpu=2}"), 2);
  assert.equal(values.get("softnet_dropped_total{cpu=1}"), undefined);
});

Deno.test("softnet numbers rows by their order where the kernel has no CPU column", () => {
  const values = valuesOfText(row(11) + row(11));
  assert.equal(values.get("softnet_flow_limit_total{cpu=1}"), 11);
  assert.equal(values.get("softnet_backlog_packets{cpu=1}"), undefined);
});

Deno.test("softnet does not mind columns of newer kernels", () => {
  assert.equal(valuesOfText(row(19, 0)).size, 9);
});

Deno.test("softnet says which line makes no sense", () => {
  const cases: Record<string, RegExp> = {
    [row(10)]: /^Cannot parse line 1 of "net\/softnet_stat": 10 columns/,
    [row(13, 0) + row(12)]: /line 2 .*: 12 columns, expected 13/,
    [row(13, 3) + row(13, 3)]: /line 2 .*: CPU 3 is there twice$/,
    [row(13, 0).replace("00000002", "0000000g")]: /line 1 .*, found "0000000g"$/,
    [row(13, 0).trimEnd()]: /line 1 .*: the text ends inside of/,
    [row(13, 0) + "\n"]: /line 2 .*: 1 columns, expected 13/,
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => valuesOfText(text), { name: "SyntaxError", message });
  }
});
