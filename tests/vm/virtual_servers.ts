/**
 * IP virtual servers in a guest, with real ones in namespaces behind them: what each has passed on,
 * against `ipvsadm` and against what was sent.
 *
 * @module
 */
import { type AgentUnderTest, eventually, type Metrics, run } from "../host/lab.ts";

/** An emulated machine is some twenty times slower than its host, and its clock may be fast. */
const WAIT_MS = 90_000;
/** In the order of `ipvsadm`'s columns. */
const COLUMNS = [
  "connections",
  "incoming_packets",
  "outgoing_packets",
  "incoming_bytes",
  "outgoing_bytes",
] as const;

const CLIENT = "ipvs-client";
const DIRECTOR = "ipvs-director";
const REAL = ["ipvs-real-0", "ipvs-real-1"] as const;
const V4 = "10.204.40.1";
const V6 = "fd00:204:40::1";

/** What is sent to one virtual server, and the bytes of each packet there and back. */
interface Sent {
  readonly option: string;
  readonly server: string;
  readonly family: "v4" | "v6";
  readonly count: number;
  readonly incoming: number;
  /** Absent where nothing comes back. */
  readonly outgoing?: number;
}

/** TCP is refused: a SYN with all its options, and a RST. A datagram has 2 bytes. */
const SENT: Readonly<Record<string, Sent>> = {
  [`tcp ${V4}:4041`]: {
    ...{ option: "-t", server: `${V4}:4041`, family: "v4", count: 13, incoming: 60, outgoing: 40 },
  },
  [`tcp [${V6}]:4041`]: {
    ...{ option: "-t", server: `[${V6}]:4041`, family: "v6", count: 7, incoming: 80, outgoing: 60 },
  },
  [`udp [${V6}]:4042`]: {
    ...{ option: "-u", server: `[${V6}]:4042`, family: "v6", count: 17, incoming: 50 },
  },
  "fwmark 0x7": { option: "-f", server: "7", family: "v4", count: 11, incoming: 30 },
};

/** A server in `ipvsadm`'s list. */
interface Row {
  readonly labels: Readonly<Record<string, string>>;
  readonly figures: string;
}

/** `ipvsadm -Ln --stats --exact`; a real server's labels are those of its virtual one as well. */
function rowsOf(text: string): readonly Row[] {
  let service: Readonly<Record<string, string>> = {};
  return text.trimEnd().split("\n").slice(3).map((line) => {
    const [first = "", place = "", ...words] = line.trim().split(/\s+/);
    const figures = words.join(" ");
    if (first === "->") return { labels: { ...service, backend: place }, figures };
    service = first === "FWM"
      ? { protocol: "fwmark", service: `0x${Number(place).toString(16)}` }
      : { protocol: first.toLowerCase(), service: place };
    return { labels: service, figures };
  });
}

/** Few programs, as each takes an emulated machine long to start. */
async function inside(namespace: string, script: string): Promise<void> {
  await run("ip", "netns", "exec", namespace, "bash", "-ec", script);
}

async function configure(namespace: string, links: readonly string[], more = ""): Promise<void> {
  const batch = ["link set lo up", ...links].join("\n");
  await inside(
    namespace,
    `cd /proc/sys/net; echo 1 | tee ipv4/ip_forward ipv6/conf/all/forwarding >/dev/null
ip -batch - <<<'${batch}'
${more}`,
  );
}

/** One end of a cable between the director and another namespace, with both addresses. */
function ends(device: string, net: number, host: number): readonly string[] {
  return [
    `address add 10.204.${net}.${host}/24 dev ${device}`,
    `address add fd00:204:${net}::${host}/64 dev ${device} nodad`,
    `link set ${device} up`,
  ];
}

/** TCP in both families, UDP in IPv6, and UDP in IPv4 by a mark, all by turns. */
async function create(): Promise<void> {
  const others = [CLIENT, ...REAL];
  for (const name of [DIRECTOR, ...others]) await run("ip", "netns", "add", name);
  const cables = others.flatMap((name, index) => [
    `link add eth${index} type veth peer name eth0 netns ${name}`,
    ...ends(`eth${index}`, 40 + index, 1),
  ]);
  const servers = Object.values(SENT).flatMap(({ option, server, family }) => [
    `-A ${option} ${server} -s rr`,
    ...REAL.map((_, index) => {
      const address = family === "v4" ? `10.204.${41 + index}.2` : `[fd00:204:${41 + index}::2]`;
      const port = option === "-f" ? 0 : server.slice(server.lastIndexOf(":") + 1);
      return `-a ${option} ${server} -r ${address}:${port} -m`;
    }),
  ]);
  const mark =
    "type filter hook prerouting priority mangle; ip version 4 udp dport 4042 meta mark set 7;";
  const marking = `nft 'table inet own { chain marks { ${mark} }; }'`;
  await configure(DIRECTOR, cables, `${marking}\nipvsadm -R <<<'${servers.join("\n")}'`);
  // Without an ICMP error, which IPVS would count as well.
  const drop = "type filter hook input priority filter; meta l4proto udp drop;";
  for (const [index, name] of others.entries()) {
    const net = 40 + index;
    const ways = [`10.204.${net}.1`, `fd00:204:${net}::1`].map((via) =>
      `route add default via ${via}`
    );
    const rules = `nft 'table inet own { chain drops { ${drop} }; }'`;
    await configure(name, [...ends("eth0", net, 2), ...ways], name === CLIENT ? "" : rules);
  }
}

async function send(): Promise<void> {
  const parts = Object.values(SENT).map(({ option, family, count }) => {
    const [protocol, port] = option === "-t" ? ["tcp", 4041] : ["udp", 4042];
    const to = `/dev/${protocol}/${family === "v4" ? V4 : V6}/${port}`;
    // Datagrams' sockets are open until the last one is sent, so that no two have one port.
    const one = protocol === "tcp"
      ? `! (exec 9<>${to}) 2>/dev/null`
      : `exec {out}<>${to}; echo x >&$out`;
    return `for i in $(seq ${count}); do ${one}; done`;
  });
  await inside(CLIENT, parts.join("\n"));
}

function shown(metrics: Metrics, { labels }: Row): readonly (number | undefined)[] {
  const kind = labels["backend"] === undefined ? "service" : "backend";
  return COLUMNS.map((column) =>
    metrics.sum(`podskoop_ipvs_${kind}_${column}_total`, { pod: DIRECTOR, ...labels })
  );
}

/**
 * Metrics between two lists that are the same, once all there and back is counted: the kernel adds
 * up what its processors count each two seconds.
 */
async function counted(agent: AgentUnderTest) {
  const list = () => run("ip", "netns", "exec", DIRECTOR, "ipvsadm", "-Ln", "--stats", "--exact");
  const all = Object.values(SENT);
  const sum = (sent: readonly Sent[]) => sent.reduce((total, { count }) => total + count, 0);
  const [there, back] = [sum(all), sum(all.filter(({ outgoing }) => outgoing !== undefined))];
  return await eventually(
    async () => {
      const before = await list();
      const metrics = await agent.metrics();
      const packets = (way: string) =>
        metrics.sum(`podskoop_ipvs_${way}_packets_total`, { pod: DIRECTOR }) ?? 0;
      const complete = packets("incoming") >= there && packets("outgoing") >= back;
      return { metrics, list: before, still: complete && await list() === before };
    },
    ({ still }) => still,
    WAIT_MS,
  );
}

/** Makes servers, connections and datagrams, and checks what the agent makes of them. */
export async function virtual(
  agent: AgentUnderTest,
  check: (name: string, found: unknown, wanted: unknown) => void,
): Promise<void> {
  await create();
  await send();
  const { still, list, metrics } = await counted(agent);
  check("ipvs, all counted, and no more while the agent looks", still, true);
  const rows = rowsOf(list);
  check("ipvs, servers", rows.length, Object.keys(SENT).length * (1 + REAL.length));
  for (const row of rows) {
    const { protocol, service, backend } = row.labels;
    const what = `${protocol} ${service}`;
    const found = shown(metrics, row);
    check(`ipvs, ${what} ${backend ?? "in all"}`, found.join(" "), row.figures);
    const sent = SENT[what];
    if (backend !== undefined || sent === undefined) continue;
    const { count, incoming, outgoing } = sent;
    // A machine as slow as this one may send a SYN twice, to the same real server.
    const [, packets = 0, answers = 0] = found;
    const there = outgoing === undefined ? count : Math.max(count, packets);
    const back = outgoing === undefined ? 0 : Math.max(count, answers);
    const wanted = [count, there, back, there * incoming, back * (outgoing ?? 0)];
    check(`ipvs, ${what}, as sent`, found.join(" "), wanted.join(" "));
  }
  const pod = { pod: DIRECTOR };
  for (const column of COLUMNS) {
    const all = metrics.sum(`podskoop_ipvs_${column}_total`, pod);
    check(`ipvs, ${column}`, metrics.sum(`podskoop_ipvs_service_${column}_total`, pod), all);
  }
  check("ipvs, unread", metrics.sum("podskoop_ipvs_servers_unread", pod), 0);
  for (const name of [DIRECTOR, CLIENT, ...REAL]) await run("ip", "netns", "delete", name);
}
