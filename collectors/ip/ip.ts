/**
 * Packets of IPv4 and IPv6, and messages of ICMP, with the label `family`. The predecessor read
 * IPv4 alone, so that is what its names show; two of them (`ipinnoroutes`, `ipintruncatedpkts`) it
 * documented and never gave, as it looked for them in the wrong file.
 *
 * Sources: `Ip`, `Icmp`, `IcmpMsg` of `net/snmp`, `IpExt` of `net/netstat` (net/ipv4/proc.c), `Ip6`
 * and `Icmp6` of `net/snmp6` (net/ipv6/proc.c). Cost: three files and 35 µs of parsing for each
 * namespace.
 *
 * @module
 */
import { defineCollector, Mib, netnsFiles, readLines, readTables } from "@agent/collector.ts";
import { ICMP } from "./icmp.ts";
import { PACKETS } from "./packets.ts";
import { TRAFFIC } from "./traffic.ts";

const PREDECESSOR = new Set(
  ("forwarding defaultttl inreceives inhdrerrors inaddrerrors forwdatagrams inunknownprotos " +
    "indiscards indelivers outrequests outdiscards outnoroutes reasmtimeout reasmreqds reasmoks " +
    "reasmfails fragoks fragfails fragcreates innoroutes intruncatedpkts").split(" "),
);

const ip = new Mib({
  collector: "ip",
  tables: { Ip: { family: "ipv4" }, IpExt: { family: "ipv4" }, Ip6: { family: "ipv6" } },
  labels: ["family"],
  metrics: { ...PACKETS, ...TRAFFIC },
  predecessor: { names: PREDECESSOR, where: { family: "ipv4" } },
});

const icmp = new Mib({
  collector: "ip",
  tables: { Icmp: { family: "ipv4" }, IcmpMsg: { family: "ipv4" }, Icmp6: { family: "ipv6" } },
  labels: ["family"],
  metrics: ICMP,
  patterns: {
    ip_icmp_types_total: {
      form: /^(?<direction>In|Out)Type(?<type>\d{1,3})$/,
      help:
        "ICMP messages by the number of their type, for the types there were (InTypeN, OutTypeN)",
      labels: ["direction", "type"],
      // Two families, two directions, and the 256 numbers of a byte.
      seriesMax: 1_024,
    },
  },
  predecessor: { names: new Set() },
});

export default defineCollector({
  name: "ip",
  summary: "IP packets received, sent, forwarded, fragmented and dropped, and ICMP messages",
  byDefault: true,
  source: netnsFiles("net/snmp", "net/netstat", "net/snmp6"),
  metrics: { ...ip.metrics, ...icmp.metrics },
  parse(files) {
    const snmp = readTables("net/snmp", files["net/snmp"], {
      required: ["Ip", "Icmp"],
      optional: ["IcmpMsg"],
    });
    const netstat = files["net/netstat"] === ""
      ? []
      : readTables("net/netstat", files["net/netstat"], { required: ["IpExt"] });
    const tables = [...snmp, ...netstat, ...readLines("net/snmp6", files["net/snmp6"])];
    return [...ip.samplesOf(tables), ...icmp.samplesOf(tables)];
  },
});
