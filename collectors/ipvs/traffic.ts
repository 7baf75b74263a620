/**
 * What each virtual server, and each real one behind it, has passed on: the rows of `netlink/ipvs`
 * (agent/namespaces/netlink_ipvs.ts), which has addresses as `net/ip_vs` does.
 *
 * @module
 */
import { count, linesOf, nonsense, quoted } from "@agent/collector.ts";
import { endOf, virtualOf } from "./ends.ts";

/** Asked of netlink. */
export const TRAFFIC = "netlink/ipvs";
const HEADING = "Prot LocalAddress:Port Conns InPkts OutPkts InBytes OutBytes";
const SERVICE = /^(TCP|UDP|SCTP|FWM) (\S+)((?: \d+){5})$/;
const BACKEND = /^-> (\S+) ([A-Za-z]{1,16})((?: \d+){5})$/;

const VIRTUAL = { type: "counter", labels: ["protocol", "service"], seriesMax: 1_024 } as const;
const REAL = {
  type: "counter",
  labels: ["protocol", "service", "backend", "forward"],
  seriesMax: 1_024,
} as const;

/** Metrics of each virtual server, and of each real one, in the order of a row's figures. */
export const TRAFFIC_METRICS = {
  ipvs_servers_unread: {
    type: "gauge",
    help: "Virtual and real servers without packets and bytes, which netlink did not tell",
  },
  ipvs_service_connections_total: { ...VIRTUAL, help: "Connections to a virtual server" },
  ipvs_service_incoming_packets_total: {
    ...VIRTUAL,
    help: "Packets from clients to a virtual server",
  },
  ipvs_service_outgoing_packets_total: {
    ...VIRTUAL,
    help: "Packets from a virtual server to clients that came back this way",
  },
  ipvs_service_incoming_bytes_total: {
    ...VIRTUAL,
    help: "Bytes from clients to a virtual server",
    unit: "bytes",
  },
  ipvs_service_outgoing_bytes_total: {
    ...VIRTUAL,
    help: "Bytes from a virtual server to clients that came back this way",
    unit: "bytes",
  },
  ipvs_backend_connections_total: { ...REAL, help: "Connections given to a real server" },
  ipvs_backend_incoming_packets_total: { ...REAL, help: "Packets from clients to a real server" },
  ipvs_backend_outgoing_packets_total: {
    ...REAL,
    help: "Packets from a real server to clients that came back this way",
  },
  ipvs_backend_incoming_bytes_total: {
    ...REAL,
    help: "Bytes from clients to a real server",
    unit: "bytes",
  },
  ipvs_backend_outgoing_bytes_total: {
    ...REAL,
    help: "Bytes from a real server to clients that came back this way",
    unit: "bytes",
  },
} as const;

const OF_SERVICE = [
  "ipvs_service_connections_total",
  "ipvs_service_incoming_packets_total",
  "ipvs_service_outgoing_packets_total",
  "ipvs_service_incoming_bytes_total",
  "ipvs_service_outgoing_bytes_total",
] as const;
const OF_BACKEND = [
  "ipvs_backend_connections_total",
  "ipvs_backend_incoming_packets_total",
  "ipvs_backend_outgoing_packets_total",
  "ipvs_backend_incoming_bytes_total",
  "ipvs_backend_outgoing_bytes_total",
] as const;

/** The samples of a table, empty where netlink was not asked, and of how many listed it lacks. */
export function* trafficSamples(text: string, listed: number) {
  const rows = text === "" ? [] : rowsOf(text);
  yield { metric: "ipvs_servers_unread", value: Math.max(0, listed - rows.length) } as const;
  let service: { readonly protocol: string; readonly service: string } | undefined;
  for (const [index, row] of rows.entries()) {
    const at = index + 2;
    const [, protocol, place, passed] = SERVICE.exec(row) ?? [];
    if (protocol !== undefined && place !== undefined) {
      service = virtualOf(protocol, place, TRAFFIC, at);
      yield* figures(OF_SERVICE, service, passed, at);
      continue;
    }
    const [, address, forward, given] = BACKEND.exec(row) ?? [];
    if (service === undefined || address === undefined || forward === undefined) {
      throw nonsense(TRAFFIC, at, `expected a virtual or a real server, found ${quoted(row)}`);
    }
    const backend = { backend: endOf(address, TRAFFIC, at), forward: forward.toLowerCase() };
    yield* figures(OF_BACKEND, { ...service, ...backend }, given, at);
  }
}

function rowsOf(text: string): readonly string[] {
  const [heading, ...rows] = linesOf(TRAFFIC, text);
  if (heading === HEADING) return rows;
  throw nonsense(TRAFFIC, 1, `expected the heading, found ${quoted(heading)}`);
}

function* figures<M extends string, L>(
  metrics: readonly M[],
  labels: L,
  words = "",
  at: number,
) {
  const values = words.trimStart().split(" ");
  for (const [index, metric] of metrics.entries()) {
    yield { metric, labels, value: count(values[index], TRAFFIC, at) };
  }
}
