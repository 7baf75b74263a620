/**
 * Three namespaces in a row: a sender, a router that has the rules, a receiver that writes down
 * what comes.
 *
 * @module
 */
import type { NamespaceSnapshot } from "../../diagnose/snapshot/format.ts";
import { namespaceWith } from "../made_rules.ts";
import type { Order } from "./sender.ts";

/** Rules in the forms that tools restore. */
export interface RuleTexts {
  readonly ipset: string;
  readonly legacy4: string;
  readonly legacy6: string;
  readonly nft4: string;
  readonly nft6: string;
  readonly native: string;
}

/** Addresses of the receiver; packets for the services are routed to it as well. */
export const RECEIVER = {
  4: ["10.77.1.2", "10.77.1.3", "10.77.1.4", "10.77.1.5"],
  6: ["fd77:1::2", "fd77:1::3", "fd77:1::4", "fd77:1::5"],
} as const;
/** Addresses that are somewhere behind the receiver. */
export const SERVICES = {
  4: ["10.96.0.1", "10.96.0.2", "10.96.1.1"],
  6: ["fd96::1", "fd96::2", "fd96::1:1"],
} as const;
/** Addresses of the router, towards the sender and towards the receiver. */
export const ROUTER = { 4: ["10.77.0.1", "10.77.1.1"], 6: ["fd77::1", "fd77:1::1"] } as const;
/** The sender's addresses. */
export const SENDER = { 4: ["10.77.0.2", "10.77.0.3"], 6: ["fd77::2", "fd77::3"] } as const;

/** Packets that the router or the receiver saw, as `PLACE SOURCE DESTINATION PORT PORT`. */
export type Sightings = readonly string[];

const EMPTY = ["raw", "mangle", "nat", "filter"].map((table) => {
  const chains = {
    raw: ["PREROUTING", "OUTPUT"],
    mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
    nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
    filter: ["INPUT", "FORWARD", "OUTPUT"],
  }[table] ?? [];
  return [`*${table}`, ...chains.map((chain) => `:${chain} ACCEPT [0:0]`), "COMMIT", ""].join("\n");
}).join("");

const TUPLE4 = "ipv4_addr . ipv4_addr . inet_service . inet_service";
const TUPLE6 = TUPLE4.replaceAll("ipv4", "ipv6");
const KEY4 = "ip saddr . ip daddr . th sport . th dport";
const KEY6 = KEY4.replaceAll("ip ", "ip6 ");

function recorder(places: Readonly<Record<string, string>>, marks: boolean): string {
  const [type, key] = marks ? [" . mark", " . meta mark"] : ["", ""];
  const chains = Object.entries(places).map(([place, head]) => `
    set ${place}4 { type ${TUPLE4}${type}; flags dynamic; size 65535; }
    set ${place}6 { type ${TUPLE6}${type}; flags dynamic; size 65535; }
    chain ${place} {
      ${head}
      meta l4proto { tcp, udp } add @${place}4 { ${KEY4}${key} }
      meta l4proto { tcp, udp } add @${place}6 { ${KEY6}${key} }
      ${place === "out" ? "" : "meta l4proto { tcp, udp } drop"}
    }`);
  return `table inet zrecord {${chains.join("\n")}\n}\n`;
}

const AT_ROUTER = recorder({
  in: "type filter hook input priority 1000;",
  out: 'type filter hook postrouting priority 1000; oifname != "r1" return',
}, true);
const AT_RECEIVER = recorder({ received: "type filter hook prerouting priority -500;" }, false);

/** A started lab. */
export class NetfilterLab implements AsyncDisposable {
  readonly #name: string;
  readonly #folder: string;
  readonly #senders = new Map<string, SenderProcess>();

  private constructor(name: string, folder: string) {
    this.#name = name;
    this.#folder = folder;
  }

  /** Makes the namespaces. */
  static async start(): Promise<NetfilterLab> {
    const folder = await Deno.makeTempDir({ prefix: "podskoop-oracle-" });
    const lab = new NetfilterLab(`nfo${Deno.pid}`, folder);
    await lab.#shell(lab.#setUp());
    await Deno.writeTextFile(`${folder}/empty`, EMPTY);
    await Deno.writeTextFile(`${folder}/router`, AT_ROUTER);
    await Deno.writeTextFile(`${folder}/receiver`, AT_RECEIVER);
    for (const place of ["c", "r"]) {
      lab.#senders.set(place, new SenderProcess(lab.#in(place)));
    }
    return lab;
  }

  #in(place: string): string {
    return `ip netns exec ${this.#name}${place}`;
  }

  async #shell(script: string): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-euc", script],
      stdin: "null",
    }).output();
    if (!success) {
      const said = new TextDecoder().decode(stderr);
      throw new Error(`Cannot run the lab's script: ${said.slice(0, 2000)}`);
    }
    return new TextDecoder().decode(stdout);
  }

  #setUp(): string {
    const [c, r, s] = ["c", "r", "s"].map((place) => `${this.#name}${place}`);
    const address = (netns: string | undefined, device: string, texts: readonly string[]) =>
      texts.map((text) => {
        const length = text.includes(":") ? "64 nodad" : "24";
        return `ip -n ${netns} address add ${text}/${length} dev ${device}`;
      }).join("\n");
    return `
      for n in ${c} ${r} ${s}; do
        ip netns add $n
        ip netns exec $n sysctl -qw net.ipv6.conf.default.accept_dad=0 \\
          net.ipv6.conf.default.router_solicitations=0 net.ipv4.conf.all.rp_filter=0 \\
          net.ipv4.conf.default.rp_filter=0
        ip -n $n link set lo up
      done
      ip netns exec ${r} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
      ip -n ${r} link add r0 address 02:77:00:00:00:01 type veth \\
        peer name c0 address 02:77:00:00:00:02 netns ${c}
      ip -n ${r} link add r1 address 02:77:01:00:00:01 type veth \\
        peer name s0 address 02:77:01:00:00:02 netns ${s}
      ${address(r, "r0", [ROUTER[4][0], ROUTER[6][0]])}
      ${address(r, "r1", [ROUTER[4][1], ROUTER[6][1]])}
      ${address(c, "c0", [...SENDER[4], ...SENDER[6]])}
      ${address(s, "s0", [...RECEIVER[4], ...RECEIVER[6]])}
      for l in "${r} r0" "${r} r1" "${c} c0" "${s} s0"; do
        ip -n \${l% *} link set \${l#* } up
      done
      ip -n ${c} neighbour replace ${ROUTER[4][0]} lladdr 02:77:00:00:00:01 dev c0
      ip -n ${c} neighbour replace ${ROUTER[6][0]} lladdr 02:77:00:00:00:01 dev c0
      ip -n ${c} route add default via ${ROUTER[4][0]}
      ip -n ${c} route add default via ${ROUTER[6][0]}
      for a in ${[...RECEIVER[4], ...RECEIVER[6]].join(" ")}; do
        ip -n ${r} neighbour replace $a lladdr 02:77:01:00:00:02 dev r1
      done
      for a in ${[...SENDER[4], ...SENDER[6]].join(" ")}; do
        ip -n ${r} neighbour replace $a lladdr 02:77:00:00:00:02 dev r0
      done
      ip -n ${r} route add 10.96.0.0/16 via ${RECEIVER[4][0]}
      ip -n ${r} route add fd96::/16 via ${RECEIVER[6][0]}
    `;
  }

  /** Replaces all rules of the router, and reads them back as a snapshot has them. */
  async apply(rules: RuleTexts): Promise<NamespaceSnapshot> {
    const folder = this.#folder;
    for (const [name, text] of Object.entries(rules)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await Deno.writeTextFile(
      `${folder}/apply.sh`,
      `set -eu
      cd ${folder}
      nft flush ruleset
      iptables-legacy-restore empty
      ip6tables-legacy-restore empty
      # Lists hold their members; rules of nftables let go of their sets a little later.
      ipset flush
      for i in {1..100}; do ipset destroy 2>/dev/null && break; sleep 0.02; done
      ipset restore < ipset
      iptables-legacy-restore legacy4
      ip6tables-legacy-restore legacy6
      [ ! -s nft4 ] || iptables-nft-restore nft4
      [ ! -s nft6 ] || ip6tables-nft-restore nft6
      # What nft refuses of a random rule set goes; it names the lines.
      for i in {1..9}; do
        nft -f native 2>refused && break
        sed -n 's/^native:\\([0-9]*\\):.*/\\1d/p' refused | sort -u > lines
        sed -i -f lines native
        [ $i -lt 9 ] || { nft flush ruleset; : > native; }
      done
      iptables-legacy-save -c > save.legacy4
      ip6tables-legacy-save -c > save.legacy6
      iptables-nft-save -c > save.nft4
      ip6tables-nft-save -c > save.nft6
      nft -j list ruleset > save.native
      ipset save > save.ipset
      nft -f router
      conntrack -F >/dev/null 2>&1
      `,
    );
    await this.#shell(`${this.#in("r")} bash ${folder}/apply.sh
      ${this.#in("s")} nft flush ruleset
      ${this.#in("s")} nft -f ${folder}/receiver`);
    const read = (name: string) => Deno.readTextFileSync(`${folder}/save.${name}`);
    return namespaceWith({
      iptablesLegacy: read("legacy4"),
      ip6tablesLegacy: read("legacy6"),
      iptablesNft: read("nft4"),
      ip6tablesNft: read("nft6"),
      nft: read("native"),
      ipset: read("ipset"),
    });
  }

  /** Sends packets from the sender, or from the router itself. */
  async send(from: "sender" | "router", orders: readonly Order[]): Promise<void> {
    const sender = this.#senders.get(from === "sender" ? "c" : "r");
    if (orders.length > 0) await sender?.send(orders);
  }

  /** What came by since the rules were applied. */
  async sightings(): Promise<Sightings> {
    const router = await this.#shell(`${this.#in("r")} nft -j list table inet zrecord`);
    const receiver = await this.#shell(`${this.#in("s")} nft -j list table inet zrecord`);
    return [...seenIn(router), ...seenIn(receiver)];
  }

  /** What the kernel counted: texts of `iptables-save -c`, by engine and family. */
  async counts(): Promise<Readonly<Record<string, string>>> {
    const tools = ["iptables-legacy", "ip6tables-legacy", "iptables-nft", "ip6tables-nft"];
    const texts = await this.#shell(
      tools.map((tool) => `${this.#in("r")} ${tool}-save -c; echo "=== "`).join("\n"),
    );
    const parts = texts.split("=== \n");
    return Object.fromEntries(tools.map((tool, at) => [tool, parts[at] ?? ""]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const sender of this.#senders.values()) await sender.end();
    await this.#shell(
      ["c", "r", "s"].map((place) => `ip netns delete ${this.#name}${place}`).join("\n"),
    );
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function seenIn(json: string): string[] {
  const { nftables }: { nftables: { set?: { name: string; elem?: { elem: unknown }[] } }[] } = JSON
    .parse(json);
  return nftables.flatMap(({ set }) => {
    const place = set?.name.slice(0, -1);
    return (set?.elem ?? []).map((element): string => {
      const text = JSON.stringify(element);
      const inner = /\[(.*)\]/.exec(text)?.[1] ?? "";
      return `${place} ${inner.replaceAll('"', "").replaceAll(",", " ")}`;
    });
  });
}

class SenderProcess {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

  constructor(command: string) {
    const [program = "ip", ...args] = command.split(" ");
    const script = new URL("sender.ts", import.meta.url).pathname;
    this.#process = new Deno.Command(program, {
      args: [...args, Deno.execPath(), "run", "-A", "--no-check", "--quiet", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#reader = this.#process.stdout.getReader();
  }

  async send(orders: readonly Order[]): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(orders)}\n`));
    const { done } = await this.#reader.read();
    if (done) throw new Error("Cannot send packets: the sender has ended");
  }

  async end(): Promise<void> {
    await this.#writer.close();
    await this.#reader.cancel();
    await this.#process.status;
  }
}
