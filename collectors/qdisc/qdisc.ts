/**
 * Queues of the packets that devices send. A device counts by its root discipline, which adds up
 * what its children count: those of `mq` and of classes do not count again. `ingress` and `clsact`
 * have device series of their own and are not in the sums. `noqueue`, which queues and counts
 * nothing, has no series. The predecessor's names show the sums.
 *
 * Source: RTM_GETQDISC of rtnetlink(7) (net/sched/sch_api.c), what `tc -s qdisc` prints. The kernel
 * counts drops, overlimits and requeues in 32 bits. Cost: two dumps, 40 µs for each namespace; but
 * they wait for the lock that making and removing devices takes (RTNL), so while a node starts many
 * pods they can take a hundred times as long. That is why it is off until it is asked for.
 *
 * @module
 */
import {
  count,
  defineCollector,
  type LabelledMetric,
  type LabelledSample,
  linesOf,
  netnsTables,
  nonsense,
  quoted,
} from "@agent/collector.ts";

/** Devices of one namespace that have series of their own; a node has one veth for each pod. */
const DEVICES_MAX = 1_024;
/** Characters of a name: IFNAMSIZ, which is also that of a kind, without the zero at its end. */
const NAME_MAX = 15;
const FILE = "netlink/qdiscs";
const HEADING = "device kind handle parent bytes packets drops overlimits requeues qlen backlog";
/** Words of a row before the figures: device, kind, handle, parent. */
const PLACE_WORDS = 4;
/** TC_H_ROOT, and TC_H_INGRESS, which is clsact's parent too (include/uapi/linux/pkt_sched.h). */
const ROOT = "ffffffff";
const INGRESS = "fffffff1";

/** In the order of the row. */
const COLUMNS = [
  { name: "bytes_total", help: "Bytes sent through queues", predecessor: "bytes" },
  { name: "packets_total", help: "Packets sent through queues", predecessor: "packets" },
  { name: "drops_total", help: "Packets that queues dropped", predecessor: "drops" },
  {
    name: "overlimits_total",
    help: "Times that a queue had to wait because of its rate",
    predecessor: "overlimits",
  },
  {
    name: "requeues_total",
    help: "Packets that a device gave back to its queue",
    predecessor: "requeues",
  },
  { name: "length_packets", help: "Packets waiting in queues", predecessor: "qlen" },
  { name: "backlog_bytes", help: "Bytes waiting in queues", predecessor: "backlog" },
] as const;

const metrics: Record<string, LabelledMetric> = {};
for (const { name, help, predecessor } of COLUMNS) {
  const type = name.endsWith("_total") ? "counter" : "gauge";
  const unit = name.includes("bytes") ? { unit: "bytes" } as const : {};
  // The documents have "qdisqlen" for "qdiscqlen".
  const misprints = predecessor === "qlen" ? ["qdisqlen"] : [];
  metrics[`qdisc_${name}`] = {
    ...{ type, help: `${help}, over all devices`, ...unit, labels: [] },
    alias: {
      kubeskoop: [`qdisc_${predecessor}`],
      inspector: [`qdisc${predecessor}`, ...misprints],
    },
  };
  metrics[`qdisc_device_${name}`] = {
    ...{ type, help: `${help}, of one device`, ...unit },
    labels: ["device", "kind"],
    seriesMax: DEVICES_MAX,
  };
}

export default defineCollector({
  name: "qdisc",
  summary: "Packets that wait in, or are dropped by, the queues of devices that send",
  byDefault: false,
  source: netnsTables(FILE),
  metrics,
  parse(files) {
    const samples: LabelledSample[] = [];
    const sums = COLUMNS.map(() => 0);
    const seen = new Set<string>();
    for (const [row, line] of linesOf(FILE, files[FILE]).entries()) {
      if (row === 0) {
        if (line === HEADING) continue;
        throw nonsense(FILE, 1, `expected the heading, found ${quoted(line)}`);
      }
      const { device, kind, parent, figures } = rowOf(line, row + 1);
      if (kind === "noqueue" || parent !== ROOT && parent !== INGRESS) continue;
      if (seen.has(`${device} ${parent}`)) {
        throw nonsense(FILE, row + 1, `the device ${quoted(device)} has two of ${parent}`);
      }
      seen.add(`${device} ${parent}`);
      // The kernel takes any character but a space, a slash and a colon, and a label may end up on
      // a terminal.
      const labels = { device: device.replaceAll(/\p{Cc}/gu, "\uFFFD"), kind };
      for (const [index, { name }] of COLUMNS.entries()) {
        const value = figures[index] ?? 0;
        if (parent === ROOT) sums[index] = (sums[index] ?? 0) + value;
        samples.push({ metric: `qdisc_device_${name}`, value, labels });
      }
    }
    for (const [index, { name }] of COLUMNS.entries()) {
      samples.push({ metric: `qdisc_${name}`, value: sums[index] ?? 0, labels: {} });
    }
    return samples;
  },
});

function rowOf(line: string, number: number) {
  const words = line.split(" ");
  if (words.length !== PLACE_WORDS + COLUMNS.length) {
    throw nonsense(FILE, number, `${words.length} words, expected 11`);
  }
  const [device = "", kind = "", handle = "", parent = ""] = words;
  if (device === "" || device.length > NAME_MAX) {
    throw nonsense(FILE, number, `expected a device, found ${quoted(device)}`);
  }
  if (!/^[\w-]{1,15}$/.test(kind)) {
    throw nonsense(FILE, number, `expected a kind, found ${quoted(kind)}`);
  }
  for (const word of [handle, parent]) {
    if (/^[0-9a-f]{1,8}$/.test(word)) continue;
    throw nonsense(FILE, number, `expected a hexadecimal number, found ${quoted(word)}`);
  }
  return {
    ...{ device, kind, parent },
    figures: words.slice(PLACE_WORDS).map((word) => count(word, FILE, number)),
  };
}
