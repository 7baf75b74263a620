// deno-lint-ignore-file camelcase -- these are names of metrics
/**
 * What TCP met on the way: drops, overflows, aborts, retransmissions and recoveries, of IPv4 and
 * IPv6 together. Every field that Linux 6.18 prints has a metric; those of newer kernels go to
 * `tcpext_unlisted`.
 *
 * Sources: `TcpExt` of `net/netstat` (net/ipv4/proc.c); Documentation/networking/snmp_counter.rst.
 * Cost: one file and 15 µs of parsing for each namespace.
 *
 * @module
 */
import { defineCollector, Mib, type MibMetric, netnsFiles, readTables } from "@agent/collector.ts";
import { CONNECTIONS } from "./connections.ts";
import { RECEIVING } from "./receiving.ts";
import { SENDING } from "./sending.ts";

const PREDECESSOR = new Set(
  ("listendrops listenoverflows tcpsynretrans tcpfastretrans tcpretransfail tcptimeouts " +
    "tcpabortonclose tcpabortonmemory tcpabortontimeout tcpabortonlinger tcpabortondata " +
    "tcpabortfailed tcpackskippedsynrecv tcpackskippedpaws tcpackskippedseq " +
    "tcpackskippedfinwait2 tcpackskippedtimewait tcpackskippedchallenge tcprcvqdrop " +
    "tcpmemorypressures tcpmemorypressureschrono pawsactive pawsestab embryonicrsts tcpwinprobe " +
    "tcpkeepalive tcpmtupfail tcpmtupsuccess tcpzerowindowdrop tcpbacklogdrop pfmemallocdrop " +
    "tcpwqueuetoobig").split(" "),
);

/** All fields of the table; none of them ever goes down. */
const FIELDS: Readonly<Record<string, MibMetric>> = {
  ...Object.fromEntries(
    Object.entries({ ...CONNECTIONS, ...SENDING, ...RECEIVING }).map(([name, [field, help]]) => [
      `tcpext_${name}_total`,
      { fields: [field], help },
    ]),
  ),
  tcpext_memory_pressures_seconds_total: {
    fields: ["TCPMemoryPressuresChrono"],
    help: "Time that TCP as a whole was under memory pressure, where a socket here ended it",
    divisor: 1_000,
  },
};

const tcpext = new Mib({
  collector: "tcpext",
  tables: { TcpExt: {} },
  labels: [],
  predecessor: { names: PREDECESSOR },
  metrics: FIELDS,
});

export default defineCollector({
  name: "tcpext",
  summary: "TCP's drops, overflows, aborts, retransmissions and recoveries, by their cause",
  byDefault: true,
  source: netnsFiles("net/netstat"),
  metrics: tcpext.metrics,
  parse: (files) =>
    tcpext.samplesOf(readTables("net/netstat", files["net/netstat"], { required: ["TcpExt"] })),
});
