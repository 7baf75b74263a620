// testdata/: Linux 6.18.44; `cat /proc/1/net/dev` (host), and `ip netns exec X cat
// /proc/self/net/dev` in a namespace with a veth (netns) and in one with veths of odd names
// (names).
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import { COLUMNS, HEADING } from "./columns.ts";
import netdev from "./netdev.ts";

const FILE = "net/dev";
const head = `${HEADING.join("\n")}\n`;
/** A line whose 16 columns each have a value of their own, from `first` on. */
function line(device: string, first: number): string {
  const figures = COLUMNS.map((_, index) => String(first + index).padStart(7));
  return `${device.padStart(6)}: ${figures.join(" ")}\n`;
}

Deno.test("netdev gives each device, and a sum without lo", () => {
  const values = valuesOf(netdev, captured(netdev, "netns"));
  assert.equal(values.get("netdev_device_receive_bytes_total{device=lo}"), 20_099);
  assert.equal(values.get("netdev_device_receive_bytes_total{device=eth0}"), 9_188);
  assert.equal(values.get("netdev_receive_bytes_total"), 9_188);
  assert.equal(values.get("netdev_transmit_packets_total"), 86);
  assert.equal(values.size, 3 * 16);
});

Deno.test("netdev takes each metric from its column", () => {
  const values = valuesOf(netdev, { [FILE]: head + line("a", 100) + line("b", 1_000) });
  for (const [index, { name }] of COLUMNS.entries()) {
    assert.equal(values.get(`netdev_device_${name}_total{device=b}`), 1_000 + index, name);
    assert.equal(values.get(`netdev_${name}_total`), 1_100 + 2 * index, name);
  }
});

Deno.test("netdev adds up uplinks alone on the host, because a bridge sees the same packet", () => {
  const text = head + line("lo", 1) + line("eth0", 10) + line("br0", 100) + line("veth1", 1_000);
  const reading = { host: true, uplinks: new Set(["eth0", "gone0"]) };
  const values = valuesOf(netdev, { [FILE]: text }, reading);
  assert.equal(values.get("netdev_receive_bytes_total"), 10);
  assert.equal(values.get("netdev_device_receive_bytes_total{device=br0}"), 100);
});

Deno.test("netdev reads any name that the kernel takes, and gives no control character on", () => {
  const values = valuesOf(netdev, captured(netdev, "names"));
  const devices = [...values.keys()].filter((key) => key.includes("receive_packets"))
    .map((key) => key.replace(/.*\{device=(.*)\}$/, "$1"));
  assert.deepEqual(devices, [
    ...["lo", "\u3000wide", 'we"ird\\', "\uFFFD\uFFFD[31m", '{a="b"}', "fifteen_letters"],
    ...["eth0.1@if2", "netdev_receive_packets_total"],
  ]);
  assert.equal(values.get("netdev_receive_packets_total"), 18);
});

Deno.test("netdev splits at the last colon, because old kernels print aliases and no space", () => {
  const text = head + line("eth0:1", 1).replace(":1: ", ":1:");
  assert.ok(
    valuesOf(netdev, { [FILE]: text }).has("netdev_device_receive_bytes_total{device=eth0:1}"),
  );
});

Deno.test("netdev has the misprints of the predecessor's documents beside the right names", () => {
  assert.deepEqual(netdev.metrics["netdev_receive_errors_total"]?.alias, {
    kubeskoop: ["netdev_rxerrors"],
    inspector: ["netdevrxerrors", "netdevrxerror"],
  });
});

Deno.test("netdev says which line makes no sense", () => {
  const cases: Record<string, RegExp> = {
    "": /^Cannot parse line 1 of "net\/dev": the file is empty$/,
    "x\n": /line 1 .*: expected the heading, found "x"$/,
    [`${HEADING[0]}\n`]: /line 2 .*: expected the heading, found nothing$/,
    [`${head}eth0 1 2\n`]: /line 3 .*: expected a device, found "eth0 1 2"$/,
    [`${head}eth0: 1 2\n`]: /line 3 .*: 2 figures for 16 columns$/,
    [head + line("sixteen_letters_", 1)]: /line 3 .*: expected a device, found/,
    [head + line("a", 1) + line("a", 1)]: /line 4 .*: the device "a" is there twice$/,
    [head + line("a", 1).replace(" 16", " -1")]: /line 3 .*: expected a number, found "-1"$/,
    [(head + line("a", 1)).slice(0, -2)]: /line 3 .*: the text ends inside of/,
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => valuesOf(netdev, { [FILE]: text }), { name: "SyntaxError", message });
  }
});
