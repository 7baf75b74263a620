/**
 * Takes a snapshot: asks the tools and the kernel in each namespace, and says of what could not be
 * had why.
 *
 * @module
 */
import * as v from "valibot";
import { EACCES, ENOENT, EPERM, errorName, ESRCH } from "../../agent/namespaces/libc.ts";
import { jsonText } from "../../agent/routes/answer.ts";
import type { Head, Missing, NamespaceSnapshot } from "./format.ts";
import {
  parseConntrack,
  parseFdb,
  parseFilters,
  parseLinks,
  parseListeners,
  parseNeighbours,
  parseNexthops,
  parseNft,
  parsePrograms,
  parseQdiscs,
  parseRoutes,
  parseRules,
  parseVlans,
} from "./parse.ts";
import type { Link, Part, Parts } from "./parts.ts";
import { EnterError, type Place } from "./place.ts";
import { sysctlPaths } from "./sysctls.ts";
import { mayHaveXfrm } from "./xfrm.ts";

/** Namespaces that are being asked at once; what runs at once is bounded besides. */
const NAMESPACES_AT_ONCE = 8;
/** After this time nothing more is asked, and each namespace that is left says so. */
export const SNAPSHOT_MILLISECONDS = 60_000;

/** Processes that are asked for the files that names are looked up by, and bytes of each. */
const PIDS_ASKED_MAX = 3;
const NAMES_BYTES_MAX = 64 * 1024;
/** Each is asked twice; agents with more of them attach programs now, which are listed at once. */
const FILTERED_DEVICES_MAX = 256;

/** What is never recorded, but may be there. */
const UNREAD = "arptablesLegacy";

/** What iptables calls its tables. */
const TABLES: ReadonlySet<string> = new Set(["filter", "nat", "mangle", "raw", "security"]);

/** What is known of a namespace before it is asked. */
export type Subject =
  & Pick<NamespaceSnapshot, "netns" | "netnsCookie" | "host" | "owner" | "pids" | "containerIds">
  & { readonly place: Place | { readonly because: string } };

/** Debian's packages of the tools. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  bridge: "iproute2",
  tc: "iproute2",
  bpftool: "bpftool",
  ss: "iproute2",
  nft: "nftables",
  ipset: "ipset",
  wg: "wireguard-tools",
};

/**
 * The text of a snapshot, piece by piece, so that a large node's need not be held at once.
 * `wanted` are the namespaces to ask, `all` those that devices of them may lead to.
 */
export async function* snapshotText(
  head: Head,
  wanted: readonly Subject[],
  all: readonly Subject[],
  missing: readonly Missing[],
): AsyncGenerator<string> {
  yield `${jsonText(head).slice(0, -1)},"namespaces":[`;
  const until = performance.now() + SNAPSHOT_MILLISECONDS;
  const places = all.toSorted((a, b) => Number(b.host) - Number(a.host))
    .flatMap(({ place }) => "because" in place ? [] : [place]);
  const open: Promise<NamespaceSnapshot>[] = [];
  let next = 0;
  let separator = "";
  for (;;) {
    for (; open.length < NAMESPACES_AT_ONCE; next++) {
      const subject = wanted[next];
      if (subject === undefined) break;
      open.push(snapshotOf(subject, places, performance.now() > until));
    }
    const first = open.shift();
    if (first === undefined) break;
    yield `${separator}\n${jsonText(await first)}`;
    separator = ",";
  }
  yield `\n],"missing":${jsonText(missing)}}\n`;
}

async function snapshotOf(
  { place, ...known }: Subject,
  places: readonly Place[],
  late: boolean,
): Promise<NamespaceSnapshot> {
  const nothing = (because: string) => ({
    ...known,
    netnsIds: {},
    missing: [{ part: "all", because }],
  });
  if (late) {
    return nothing(`The snapshot had taken ${SNAPSHOT_MILLISECONDS / 1_000} s already`);
  }
  if ("because" in place) return nothing(place.because);
  try {
    const asked = await new Inquiry(place, known.pids).ask();
    return {
      ...known,
      netnsIds: netnsIds(asked.parts.links ?? [], place, places),
      ...asked.parts,
      missing: asked.missing,
    };
  } catch (error) {
    if (error instanceof EnterError) return nothing(error.message);
    throw error;
  }
}

/** Inode numbers of the namespaces that the devices' numbers stand for. */
function netnsIds(
  links: readonly Link[],
  place: Place,
  places: readonly Place[],
): Readonly<Record<string, number>> {
  const used = new Set(links.flatMap(({ link_netnsid: id }) => id === undefined ? [] : [id]));
  const found: Record<string, number> = {};
  // A pod's devices lead to the host, so that the others need not be asked for.
  for (const some of [places.slice(0, 1), places.slice(1)]) {
    if ([...used].every((id) => found[id] !== undefined)) break;
    for (const [inum, id] of place.ids(some)) if (used.has(id)) found[id] = inum;
  }
  return found;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Asks one namespace for all its parts. */
class Inquiry {
  readonly parts: Writable<Parts> = {};
  readonly missing: Missing[] = [];

  constructor(readonly place: Place, readonly pids: readonly number[]) {}

  async ask(): Promise<Pick<Inquiry, "parts" | "missing">> {
    const [links, nexthops] = await this.#ip([], ["links", "address"], ["nexthops", "nexthop"]);
    this.#keep("links", links, parseLinks);
    this.#keep("nexthops", nexthops, parseNexthops);
    await Promise.all([
      this.#families(),
      this.#bridges(),
      this.#filters(),
      this.#parsed("programs", ["bpftool", "-j", "net"], parsePrograms),
      this.#parsed("listeners", ["ss", "-HnltueO"], parseListeners),
      this.#xtables("iptablesLegacy", "ip_tables_names", "iptables"),
      this.#xtables("ip6tablesLegacy", "ip6_tables_names", "ip6tables"),
      this.#nft(),
      this.#text("ipset", ["ipset", "save"]),
      this.#wireguard(),
    ]);
    this.#file("ipvs", "thread-self/net/ip_vs");
    this.#arptables();
    this.#sysctls();
    this.#xfrm();
    this.#names("resolvConf", "etc/resolv.conf", resolvLine);
    this.#names("hosts", "etc/hosts", hostsLine);
    return this;
  }

  #lacks(part: Part | typeof UNREAD, because: string, remedy?: string): undefined {
    this.missing.push({ part, because, ...(remedy === undefined ? {} : { remedy }) });
  }

  async #run(part: Part, [program, ...args]: readonly [string, ...string[]]) {
    const ran = await this.place.run(program, args);
    if (ran.ok) return ran.text;
    const remedy = `Install the package ${PACKAGES[program] ?? "iptables"} (Debian's name)`;
    return this.#lacks(part, ran.because, ran.absent === true ? remedy : undefined);
  }

  /** Nothing, and a word in `missing`, where the tool's text makes no sense. */
  #read<T>(part: Part, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (error instanceof SyntaxError) return this.#lacks(part, error.message);
      throw error;
    }
  }

  async #parsed<P extends Part>(
    part: P,
    command: readonly [string, ...string[]],
    parse: (text: string) => Writable<Parts>[P],
  ): Promise<void> {
    this.#keep(part, await this.#run(part, command), parse);
  }

  #keep<P extends Part>(
    part: P,
    text: string | undefined,
    parse: (text: string) => Writable<Parts>[P],
  ): void {
    if (text === undefined) return;
    const value = this.#read(part, () => parse(text));
    if (value !== undefined) this.parts[part] = value;
  }

  async #text(part: TextPart, command: readonly [string, ...string[]]): Promise<void> {
    const text = await this.#run(part, command);
    if (text !== undefined) this.parts[part] = text;
  }

  /** Routes, rules and neighbours, each of both families or not at all. */
  async #families(): Promise<void> {
    const [v4, v6] = await Promise.all((["-4", "-6"] as const).map((family) =>
      this.#ip(
        [family],
        ["routes", "route show table all"],
        ["rules", "rule"],
        ["neighbours", "neighbour show"],
        ["neighbours", "neighbour show proxy"],
      )
    ));
    const [routes4, rules4, ...neighbours4] = v4 ?? [];
    const [routes6, rules6, ...neighbours6] = v6 ?? [];
    if (routes4 !== undefined && routes6 !== undefined) {
      this.#keep("routes", routes4, (text) => [
        ...parseRoutes("inet", text),
        ...parseRoutes("inet6", routes6),
      ]);
    }
    if (rules4 !== undefined && rules6 !== undefined) {
      this.#keep("rules", rules4, (text) => [
        ...parseRules("inet", text),
        ...parseRules("inet6", rules6),
      ]);
    }
    const neighbours = [...neighbours4, ...neighbours6].filter((text) => text !== undefined);
    if (neighbours.length === 4) {
      this.#keep("neighbours", "", () => neighbours.flatMap(parseNeighbours));
    }
  }

  /**
   * Several questions to one `ip`, which answers each with a line of JSON. Where a question fails,
   * or has no answer, each is asked by itself, so that the others do not suffer.
   */
  async #ip(
    options: readonly string[],
    ...questions: readonly (readonly [Part, string])[]
  ): Promise<readonly (string | undefined)[]> {
    const all = [...options, "-N", "-d", "-j"];
    const lines = questions.map(([, question]) => `${question}\n`).join("");
    const ran = await this.place.run("ip", [...all, "-batch", "-"], lines);
    const answers = ran.ok ? ran.text.trimEnd().split("\n") : [];
    if (answers.length === questions.length) return answers;
    return await Promise.all(
      questions.map(([part, question]) => this.#run(part, ["ip", ...all, ...question.split(" ")])),
    );
  }

  /** Only bridges and vxlan devices forward by what these tables have. */
  async #bridges(): Promise<void> {
    const kinds = new Set(this.parts.links?.map(({ linkinfo }) => linkinfo?.info_kind));
    const unknown = this.parts.links === undefined;
    if (unknown || kinds.has("bridge") || kinds.has("vxlan")) {
      await this.#parsed("fdb", ["bridge", "-j", "fdb"], parseFdb);
    } else this.parts.fdb = [];
    if (unknown || kinds.has("bridge")) {
      await this.#parsed("vlans", ["bridge", "-j", "vlan"], parseVlans);
    } else this.parts.vlans = [];
  }

  /** Only devices with a qdisc for them have filters on a packet's way. */
  async #filters(): Promise<void> {
    await this.#parsed("qdiscs", ["tc", "-j", "qdisc"], parseQdiscs);
    const { qdiscs } = this.parts;
    if (qdiscs === undefined) return this.#lacks("filters", "The qdiscs are not known");
    const all = qdiscs.flatMap(({ kind, dev }) =>
      (kind === "clsact" || kind === "ingress") && dev !== undefined ? [dev] : []
    );
    if (all.length > FILTERED_DEVICES_MAX) {
      const because = `${all.length} devices have filters, more than ${FILTERED_DEVICES_MAX}`;
      return this.#lacks("filters", because);
    }
    const found = await Promise.all(
      all.flatMap((dev) =>
        (["ingress", "egress"] as const).map(async (direction) => {
          const command = ["tc", "-j", "filter", "show", "dev", dev, direction] as const;
          const text = await this.#run("filters", command);
          return text && this.#read("filters", () => parseFilters(dev, direction, text));
        })
      ),
    );
    const known = found.flatMap((each) => each === undefined || each === "" ? [] : [each]);
    if (known.length === found.length) this.parts.filters = known.flat();
  }

  /** Asking would load the tables' modules, so the kernel is asked first which tables are there. */
  async #xtables(part: TextPart, names: string, tool: "iptables" | "ip6tables"): Promise<void> {
    const [tables = -ENOENT] = this.place.files([`thread-self/net/${names}`]);
    if (typeof tables === "number" && tables !== -ENOENT) {
      return this.#lacks(part, `Cannot read "/proc/net/${names}": ${errorName(tables)}`);
    }
    if (typeof tables === "number" || tables.trim() === "") this.parts[part] = "";
    else await this.#text(part, [`${tool}-legacy-save`, "-c"]);
  }

  /** Whatever its rules are: those that its successor makes are nftables' own. */
  #arptables(): void {
    const [tables = -ENOENT] = this.place.files(["thread-self/net/arp_tables_names"]);
    if (typeof tables === "number" && tables !== -ENOENT) {
      this.#lacks(UNREAD, `Cannot read "/proc/net/arp_tables_names": ${errorName(tables)}`);
    } else if (typeof tables === "string" && tables.trim() !== "") {
      this.#lacks(UNREAD, "There are tables of arptables-legacy, which is not asked");
    }
  }

  async #nft(): Promise<void> {
    const text = await this.#run("nft", ["nft", "-j", "list", "ruleset"]);
    const objects = text === undefined ? undefined : this.#read("nft", () => parseNft(text));
    if (text !== undefined && objects !== undefined) this.parts.nft = text;
    await Promise.all([
      this.#nftBackend("iptablesNft", "ip", objects),
      this.#nftBackend("ip6tablesNft", "ip6", objects),
    ]);
  }

  /** Only where a table is there that iptables may have made. */
  async #nftBackend(
    part: "iptablesNft" | "ip6tablesNft",
    family: "ip" | "ip6",
    objects: ReturnType<typeof parseNft> | undefined,
  ): Promise<void> {
    const there = objects?.some(({ table }) => {
      const known = v.safeParse(v.object({ family: v.literal(family), name: v.string() }), table);
      return known.success && TABLES.has(known.output.name);
    });
    if (there === false) this.parts[part] = "";
    else {await this.#text(part, [
        family === "ip" ? "iptables-nft-save" : "ip6tables-nft-save",
        "-c",
      ]);}
  }

  /** Never `wg show all dump`: that has private keys. */
  async #wireguard(): Promise<void> {
    if (!this.parts.links?.some(({ linkinfo }) => linkinfo?.info_kind === "wireguard")) return;
    await Promise.all([
      this.#text("wireguardAllowedIps", ["wg", "show", "all", "allowed-ips"]),
      this.#text("wireguardEndpoints", ["wg", "show", "all", "endpoints"]),
    ]);
  }

  /** A file that the kernel may do without: then it is empty. */
  #file(part: TextPart, path: string): void {
    const [text = -ENOENT] = this.place.files([path]);
    if (typeof text === "string") this.parts[part] = text;
    else if (text === -ENOENT) this.parts[part] = "";
    else this.#lacks(part, `Cannot read "/proc/${path}": ${errorName(text)}`);
  }

  /**
   * What the first process that has such a file sees in it: all of a pod's containers are given the
   * same one. Only lines of its form are kept, whatever a container has put there.
   */
  #names(part: TextPart, path: string, fits: (line: string) => boolean): void {
    const [text = -ENOENT, ...others] = this.pids.slice(0, PIDS_ASKED_MAX)
      .map((pid) => this.place.fileOf(pid, path, NAMES_BYTES_MAX))
      .toSorted((a, b) => Number(typeof b === "string") - Number(typeof a === "string"));
    if (typeof text === "string") {
      this.parts[part] = text.split("\n").filter(fits).map((line) => `${line}\n`).join("");
      return;
    }
    const worst = [text, ...others].find((each) => each !== -ENOENT && each !== -ESRCH);
    if (worst !== undefined && typeof worst === "number") {
      this.#lacks(part, `Cannot read "${path}" of a process there: ${errorName(worst)}`);
    } else if (this.pids.length > 0) this.parts[part] = "";
  }

  /** Where nobody has set any up, to ask would load a module. */
  #xfrm(): void {
    const [sockets = -ENOENT] = this.place.files(["thread-self/net/netlink"]);
    const none = typeof sockets === "string" && !mayHaveXfrm(sockets);
    const counts = none ? { policies: 0, states: 0 } : this.place.xfrm();
    if (typeof counts !== "number") this.parts.xfrm = counts;
    else this.#lacks("xfrm", `Cannot count the policies of IPsec: ${errorName(counts)}`);
  }

  #sysctls(): void {
    const paths = sysctlPaths(this.parts.links?.map(({ ifname }) => ifname) ?? []);
    const texts = this.place.files(paths.map((path) => `sys/${path}`));
    const values: Record<string, string> = {};
    let denied: string | undefined;
    for (const [index, path] of paths.entries()) {
      const text = texts[index];
      if (typeof text === "string") values[path] = text.trim();
      else if (text === -EACCES || text === -EPERM) denied ??= `${path}": ${errorName(text)}`;
    }
    this.parts.sysctls = values;
    if (denied !== undefined) this.#lacks("sysctls", `Cannot read "/proc/sys/${denied}`);
    const count = values["net/netfilter/nf_conntrack_count"];
    const max = values["net/netfilter/nf_conntrack_max"];
    if (count === undefined || max === undefined) {
      return this.#lacks("conntrack", "The kernel does not track connections in this namespace");
    }
    const fullness = this.#read("conntrack", () => parseConntrack(count, max));
    if (fullness !== undefined) this.parts.conntrack = fullness;
  }
}

type TextPart =
  | ("iptablesLegacy" | "ip6tablesLegacy" | "iptablesNft" | "ip6tablesNft" | "nft" | "ipset")
  | ("ipvs" | "wireguardAllowedIps" | "wireguardEndpoints" | "resolvConf" | "hosts");

/** resolv.conf(5), hosts(5). */
function resolvLine(line: string): boolean {
  return /^(nameserver|search|domain|options|sortlist)\s/.test(line);
}

function hostsLine(line: string): boolean {
  return /^\s*[0-9a-fA-F:][0-9a-fA-F.:]+\s+[\w.-]/.test(line);
}
