/**
 * What RDMA devices (InfiniBand, RoCE, iWARP) send and receive past the kernel, and what they have
 * open. Absent where the node has none.
 *
 * Source: the files of `/sys/class/infiniband/DEVICE/ports/PORT`, all of them: their names are each
 * driver's own (`counters` of the InfiniBand standard, `hw_counters` of the card). `rdma resource`
 * of iproute2 tells the resources. A counter whose unit is known is also in the metrics of bytes
 * and packets: InfiniBand counts data in words of 4 bytes. Figures are the node's, since a device's
 * counters do not say which process had it do what. Cost: 5 µs a counter, 5 ms for the tool.
 *
 * @module
 */
import { count, defineCollector, linesOf, nonsense, quoted, rdmaTables } from "@agent/collector.ts";
import { COUNTER_ALIASES, RESOURCE_ALIASES, RESOURCES } from "./names.ts";

const COUNTERS = "rdma/counters";
const RESOURCE_LIST = "rdma/resources";
const HEADING = "device port name value";
/** A device, a port, a counter, and a figure. */
const ROW = /^([\w.-]{1,64}) (\d{1,3}) (\w{1,64}) (\S+)$/;
/** Bytes of a word in which InfiniBand counts data. */
const WORD_BYTES = 4;
/** A setting among the counters: for how many milliseconds the driver keeps what it has read. */
const SETTINGS: ReadonlySet<string> = new Set(["lifespan"]);

/** Counters of which the unit is known: the metric, and what to multiply by. */
const TRAFFIC = {
  port_rcv_data: ["rdma_received_bytes_total", WORD_BYTES],
  port_xmit_data: ["rdma_sent_bytes_total", WORD_BYTES],
  port_rcv_packets: ["rdma_received_packets_total", 1],
  port_xmit_packets: ["rdma_sent_packets_total", 1],
  hw_rx_bytes_cnt: ["rdma_received_bytes_total", 1],
  hw_tx_bytes_cnt: ["rdma_sent_bytes_total", 1],
  hw_rx_packets_cnt: ["rdma_received_packets_total", 1],
  hw_tx_packets_cnt: ["rdma_sent_packets_total", 1],
  rcvd_pkts: ["rdma_received_packets_total", 1],
  sent_pkts: ["rdma_sent_packets_total", 1],
} as const;

const PORT = { labels: ["device", "type", "device_port"], seriesMax: 64 } as const;

export default defineCollector({
  name: "rdma",
  summary: "What RDMA devices send, receive and drop, and the resources that they have open",
  byDefault: true,
  source: rdmaTables(COUNTERS, RESOURCE_LIST),

  metrics: {
    rdma_received_bytes_total: {
      ...PORT,
      type: "counter",
      unit: "bytes",
      help: "Bytes that a port of an RDMA device received",
    },
    rdma_sent_bytes_total: {
      ...PORT,
      type: "counter",
      unit: "bytes",
      help: "Bytes that a port of an RDMA device sent",
    },
    rdma_received_packets_total: {
      ...PORT,
      type: "counter",
      help: "Packets that a port of an RDMA device received",
    },
    rdma_sent_packets_total: {
      ...PORT,
      type: "counter",
      help: "Packets that a port of an RDMA device sent",
    },
    rdma_counter_total: {
      type: "counter",
      help: "A counter of an RDMA device's port, under the name and in the unit of its driver",
      labels: ["device", "type", "device_port", "counter"],
      seriesMax: 1_024,
      alias: COUNTER_ALIASES,
    },
    rdma_resources: {
      type: "gauge",
      help: "Resources that an RDMA device has open",
      labels: ["device", "type", "resource"],
      seriesMax: 256,
      alias: RESOURCE_ALIASES,
    },
  },

  *parse(files) {
    const lines = linesOf(COUNTERS, files[COUNTERS]);
    if (lines[0] !== HEADING) {
      throw nonsense(COUNTERS, 1, `expected the heading, found ${quoted(lines[0])}`);
    }
    for (const [index, line] of lines.slice(1).entries()) {
      const [, device, port, counter, figure] = ROW.exec(line) ?? [];
      if (device === undefined || port === undefined || counter === undefined) {
        throw nonsense(COUNTERS, index + 2, `expected four words, found ${quoted(line)}`);
      }
      const value = count(figure, COUNTERS, index + 2);
      if (SETTINGS.has(counter)) continue;
      const labels = { device, type: typeOf(device), device_port: port };
      yield { metric: "rdma_counter_total", labels: { ...labels, counter }, value };
      if (!isTraffic(counter)) continue;
      const [metric, times] = TRAFFIC[counter];
      yield { metric, labels, value: value * times };
    }
    if (files[RESOURCE_LIST] !== "") yield* resources(files[RESOURCE_LIST]);
  },
});

function isTraffic(counter: string): counter is keyof typeof TRAFFIC {
  return Object.hasOwn(TRAFFIC, counter);
}

/** `mlx5` of `mlx5_bond_0`; the kinds that the predecessor tells apart. */
function typeOf(device: string): string {
  return /^(mlx5|erdma)_/.exec(device)?.[1] ?? "other";
}

function* resources(text: string) {
  for (const row of rowsOf(text)) {
    const device = row["ifname"];
    if (typeof device !== "string" || !/^[\w.-]{1,64}$/.test(device)) {
      throw nonsense(RESOURCE_LIST, 1, "a row has no device's name");
    }
    for (const resource of RESOURCES) {
      const value = row[resource];
      if (typeof value !== "number" || !Number.isSafeInteger(value)) continue;
      const labels = { device, type: typeOf(device), resource };
      yield { metric: "rdma_resources", labels, value } as const;
    }
  }
}

function rowsOf(text: string): readonly Readonly<Record<string, unknown>>[] {
  const rows = parsed(text);
  if (!Array.isArray(rows) || !rows.every((row) => typeof row === "object" && row !== null)) {
    throw nonsense(RESOURCE_LIST, 1, `expected a list, found ${quoted(text)}`);
  }
  return rows;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw nonsense(RESOURCE_LIST, 1, because);
  }
}
