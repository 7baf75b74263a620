/**
 * Virtual servers and the real ones behind them, as `net/ip_vs` lists them (ip_vs_info_seq_show in
 * net/netfilter/ipvs/ip_vs_ctl.c): addresses in hexadecimal, IPv6's between brackets.
 *
 * @module
 */
import { count, integer, linesOf, nonsense, quoted } from "@agent/collector.ts";
import { endOf, virtualOf } from "./ends.ts";

const FILE = "net/ip_vs";
const HEADINGS = [
  /^IP Virtual Server version /,
  /^Prot LocalAddress:Port Scheduler Flags$/,
  /^ {2}-> RemoteAddress:Port Forward Weight ActiveConn InActConn$/,
] as const;
/** Virtual and real servers that are read; of more, the number is. */
const SERVERS_MAX = 4_096;
/** A virtual server: of an address and a port, or of a firewall mark. */
const SERVICE = /^(TCP|UDP|SCTP|FWM) {2}(\S+) ([a-z0-9_-]{1,16}) /;
const BACKEND = /^ {2}-> (\S+) +([A-Za-z]{1,16}) +(-?\d+) +(\d+) +(\d+) *$/;

const LABELS = ["protocol", "service", "scheduler"] as const;

/** Metrics of each virtual server, and of each real one behind it. */
export const SERVICE_METRICS = {
  ipvs_servers_left_out: {
    type: "gauge",
    help: "Virtual and real servers that have no figures, as there are more than 4,096",
  },
  ipvs_service_backends: {
    type: "gauge",
    help: "Real servers behind a virtual server",
    labels: LABELS,
    seriesMax: 1_024,
  },
  ipvs_service_backends_available: {
    type: "gauge",
    help: "Real servers behind a virtual server whose weight is not 0",
    labels: LABELS,
    seriesMax: 1_024,
  },
  ipvs_backend_active_connections: {
    type: "gauge",
    help: "Connections of a real server that are established, or about to be",
    labels: ["protocol", "service", "backend", "forward"],
    seriesMax: 1_024,
  },
  ipvs_backend_inactive_connections: {
    type: "gauge",
    help: "Connections of a real server in any other state",
    labels: ["protocol", "service", "backend", "forward"],
    seriesMax: 1_024,
  },
  ipvs_backend_weight: {
    type: "gauge",
    help: "Weight of a real server, 0 for one that gets no connections any more",
    labels: ["protocol", "service", "backend", "forward"],
    seriesMax: 1_024,
  },
} as const;

interface Service {
  readonly protocol: string;
  readonly service: string;
  readonly scheduler: string;
}

/** Virtual and real servers that a list has. */
export function serversIn(text: string): number {
  return text === "" ? 0 : Math.max(0, linesOf(FILE, text).length - HEADINGS.length);
}

/** The samples of a list, which may be empty: an old kernel, or nothing that was read. */
export function* serviceSamples(text: string) {
  if (text === "") return;
  const lines = linesOf(FILE, text);
  for (const [index, heading] of HEADINGS.entries()) {
    if (heading.test(lines[index] ?? "")) continue;
    throw nonsense(FILE, index + 1, `expected the heading, found ${quoted(lines[index])}`);
  }
  let service: Service | undefined;
  let [backends, available] = [0, 0];
  const servers = lines.slice(HEADINGS.length);
  for (const [index, line] of servers.slice(0, SERVERS_MAX).entries()) {
    const at = index + HEADINGS.length + 1;
    const found = serviceOf(line, at);
    if (found !== undefined) {
      if (service !== undefined) yield* sums(service, backends, available);
      [service, backends, available] = [found, 0, 0];
      continue;
    }
    const [, address, forward, ...figures] = BACKEND.exec(line) ?? [];
    if (service === undefined || address === undefined || forward === undefined) {
      throw nonsense(FILE, at, `expected a virtual or a real server, found ${quoted(line)}`);
    }
    const { scheduler: _, ...of } = service;
    const labels = { ...of, backend: endOf(address, FILE, at), forward: forward.toLowerCase() };
    const weight = integer(figures[0], FILE, at);
    backends++;
    if (weight !== 0) available++;
    yield { metric: "ipvs_backend_weight", labels, value: weight } as const;
    const active = count(figures[1], FILE, at);
    yield { metric: "ipvs_backend_active_connections", labels, value: active } as const;
    const inactive = count(figures[2], FILE, at);
    yield { metric: "ipvs_backend_inactive_connections", labels, value: inactive } as const;
  }
  const leftOut = Math.max(0, servers.length - SERVERS_MAX);
  yield { metric: "ipvs_servers_left_out", value: leftOut } as const;
  // The last one's real servers may be among those.
  if (service !== undefined && leftOut === 0) yield* sums(service, backends, available);
}

function* sums({ protocol, service, scheduler }: Service, backends: number, available: number) {
  const labels = { protocol, service, scheduler };
  yield { metric: "ipvs_service_backends", labels, value: backends } as const;
  yield { metric: "ipvs_service_backends_available", labels, value: available } as const;
}

function serviceOf(line: string, at: number): Service | undefined {
  const [, protocol, place, scheduler] = SERVICE.exec(line) ?? [];
  if (protocol === undefined || place === undefined || scheduler === undefined) return undefined;
  return { ...virtualOf(protocol, place, FILE, at), scheduler };
}
