/**
 * Traffic of network devices: each one, and the sum of those that stand for the namespace's traffic
 * with the outside world. That is all but `lo` in a pod, and on the host the physical devices, so
 * that a packet that crosses a veth, a bridge and a card counts once. The predecessor's names show
 * the sums.
 *
 * Source: `net/dev` (dev_seq_printf_stats in net/core/net-procfs.c). A device that is removed takes
 * its share of the sums along, and what a driver resets is reset here. Cost: one file and 3 µs of
 * parsing, plus 2 µs for each device.
 *
 * @module
 */
import {
  count,
  defineCollector,
  type LabelledMetric,
  type LabelledSample,
  linesOf,
  netnsFiles,
  nonsense,
  quoted,
} from "@agent/collector.ts";
import { COLUMNS, HEADING } from "./columns.ts";

/** Devices of one namespace that have series of their own; a node has one veth for each pod. */
const DEVICES_MAX = 1_024;
/** Characters of a device's name: IFNAMSIZ, without the zero at its end. */
const NAME_MAX = 15;
const FILE = "net/dev";
const LOOPBACK = "lo";

/** Names of metrics in the order of the columns: to make one for each figure costs more than it. */
const OF_NAMESPACE = COLUMNS.map(({ name }) => `netdev_${name}_total`);
const OF_DEVICES = COLUMNS.map(({ name }) => `netdev_device_${name}_total`);

const metrics: Record<string, LabelledMetric> = {};
for (const { name, help, predecessor, misprint } of COLUMNS) {
  const unit = name.endsWith("_bytes") ? { unit: "bytes" } as const : {};
  metrics[`netdev_${name}_total`] = {
    type: "counter",
    help: `${help}, over the devices to the outside world`,
    ...unit,
    labels: [],
    ...(predecessor === undefined ? {} : {
      alias: {
        kubeskoop: [`netdev_${predecessor}`],
        inspector: [predecessor, ...(misprint === undefined ? [] : [misprint])]
          .map((word) => `netdev${word}`),
      },
    }),
  };
  metrics[`netdev_device_${name}_total`] = {
    type: "counter",
    help: `${help}, of one device`,
    ...unit,
    labels: ["device"],
    seriesMax: DEVICES_MAX,
  };
}

export default defineCollector({
  name: "netdev",
  summary: "Bytes, packets, drops and errors of each network device and of the namespace",
  byDefault: true,
  source: netnsFiles(FILE),
  metrics,
  parse(files, { uplinks }) {
    const samples: LabelledSample[] = [];
    const sums = COLUMNS.map(() => 0);
    for (const { device, figures } of devicesOf(files[FILE])) {
      const outside = uplinks === undefined ? device !== LOOPBACK : uplinks.has(device);
      // The kernel takes any character but a space, a slash and a colon, and a label may end up on
      // a terminal.
      const labels = { device: device.replaceAll(/\p{Cc}/gu, "\uFFFD") };
      for (let index = 0; index < figures.length; index++) {
        const value = figures[index] ?? 0;
        if (outside) sums[index] = (sums[index] ?? 0) + value;
        samples.push({ metric: OF_DEVICES[index] ?? "", value, labels });
      }
    }
    for (const [index, metric] of OF_NAMESPACE.entries()) {
      samples.push({ metric, value: sums[index] ?? 0, labels: {} });
    }
    return samples;
  },
});

/**
 * The devices and their figures, in the order of the columns. Throws a SyntaxError for nonsense.
 */
function* devicesOf(text: string): Iterable<{ device: string; figures: readonly number[] }> {
  const lines = linesOf(FILE, text);
  for (const [index, heading] of HEADING.entries()) {
    if (lines[index] !== heading) {
      throw nonsense(FILE, index + 1, `expected the heading, found ${quoted(lines[index])}`);
    }
  }
  const seen = new Set<string>();
  for (const [index, line] of lines.entries()) {
    if (index < HEADING.length) continue;
    // The last colon, and no space but the one that pads: a name may hold any other character.
    const colon = line.lastIndexOf(":");
    const device = line.slice(0, colon).replace(/^ +/, "");
    if (colon < 0 || device === "" || device.length > NAME_MAX) {
      throw nonsense(FILE, index + 1, `expected a device, found ${quoted(line)}`);
    }
    if (seen.has(device)) {
      throw nonsense(FILE, index + 1, `the device ${quoted(device)} is there twice`);
    }
    seen.add(device);
    const words = line.slice(colon + 1).split(" ").filter((word) => word !== "");
    if (words.length !== COLUMNS.length) {
      throw nonsense(FILE, index + 1, `${words.length} figures for ${COLUMNS.length} columns`);
    }
    yield { device, figures: words.map((word) => count(word, FILE, index + 1)) };
  }
}
