/**
 * Random IP virtual servers: a client, a director with rules of its own, and real servers behind
 * it, some of which are dead, or do not send their answers through the director. This needs a
 * kernel with IPVS. The same seed makes the same network.
 *
 * @module
 */
import { type Asked, Dice, type Listening, type Topology } from "./topology.ts";

const TCP_PORT = 8080;
const UDP_PORT = 5353;
const DEAD_PORT = 8081;
const MARK = 7;
const QUESTIONS = 12;

/** What the director's rules may ask. */
const MATCHES = [
  ...["-s CLIENT", "-s REAL", "-d REAL", "-d VIRTUAL", "-s VIRTUAL", "-p tcp", "-p udp"],
  ...["-m conntrack --ctstate NEW", "-m conntrack --ctstate ESTABLISHED"],
  ...["-m conntrack --ctstate INVALID", "-m conntrack --ctstate UNTRACKED"],
  ...["-m conntrack ! --ctstate NEW", "-i eth0", "-o eth0", "-i eth1", "-o eth1"],
];
const CHAINS = [
  ...[["filter", "INPUT"], ["filter", "FORWARD"], ["filter", "OUTPUT"]] as const,
  ...[["mangle", "PREROUTING"], ["mangle", "FORWARD"], ["mangle", "POSTROUTING"]] as const,
  ...[["filter", "FORWARD"], ["mangle", "OUTPUT"]] as const,
];

interface Ends {
  readonly family: 4 | 6;
  readonly virtual: string;
  readonly client: string;
  /** The director's own, towards the client. */
  readonly director: string;
  readonly reals: readonly [string, string];
}

const ENDS: readonly Ends[] = [
  {
    ...{ family: 4, virtual: "10.96.0.10", client: "10.80.0.2", director: "10.80.0.1" },
    reals: ["10.80.1.2", "10.80.2.2"],
  },
  {
    ...{ family: 6, virtual: "fd96::10", client: "fd80:0::2", director: "fd80:0::1" },
    reals: ["fd80:1::2", "fd80:2::2"],
  },
];

/** Makes a network from a seed; names begin with `prefix`. */
export function virtualTopologyOf(seed: number, prefix: string): Topology {
  return new Maker(new Dice(seed), prefix).make();
}

class Maker {
  readonly #lines: string[] = [];
  readonly #services: string[] = [];
  readonly #restores: string[] = [];
  readonly #listening: Listening[] = [];

  constructor(readonly dice: Dice, readonly prefix: string) {}

  make(): Topology {
    const names = ["d", "c", "r0", "r1"].map((name) => this.#name(name));
    const director = this.#name("d");
    for (const name of names) {
      this.#lines.push(
        `ip netns add ${name}`,
        `ip netns exec ${name} sysctl -qw net.ipv6.conf.default.accept_dad=0 ` +
          "net.ipv6.conf.default.router_solicitations=0 net.ipv4.icmp_ratelimit=0",
        `ip -n ${name} link set lo up`,
      );
    }
    ["c", "r0", "r1"].forEach((name, net) => this.#cable(this.#name(name), net));
    this.#lines.push(
      `ip -n ${director} link add kube-ipvs0 type dummy`,
      ...ENDS.map(({ virtual, family }) =>
        `ip -n ${director} address add ${virtual}/${family === 4 ? 32 : 128} dev kube-ipvs0` +
        (family === 4 ? "" : " nodad")
      ),
    );
    for (const ends of ENDS) this.#serve(ends);
    for (const ends of ENDS) this.#rules(ends);
    this.#lines.push(
      `ip netns exec ${director} ipvsadm -R <<'EOF'\n${this.#services.join("\n")}\nEOF`,
      ...this.#restores,
      `ip netns exec ${director} sysctl -qw net.ipv4.ip_forward=1 ` +
        `net.ipv6.conf.all.forwarding=1 net.ipv4.vs.conntrack=${this.dice.below(2)}`,
    );
    return {
      namespaces: names,
      script: `set -e\n${this.#lines.join("\n")}\n`,
      listening: this.#listening,
      asked: Array.from({ length: QUESTIONS }, (_, id) => this.#question(id)),
    };
  }

  #name(name: string): string {
    return `${this.prefix}${name}`;
  }

  /** Between the director and another, which sends by it what it does not know, or does not. */
  #cable(name: string, net: number): void {
    const director = this.#name("d");
    const astray = net > 0 && this.dice.chance(0.1);
    this.#lines.push(
      `ip -n ${director} link add eth${net} type veth peer name eth0 netns ${name}`,
      ...[[director, `eth${net}`, 1], [name, "eth0", 2]].flatMap(([where, device, host]) => [
        `ip -n ${where} address add 10.80.${net}.${host}/24 dev ${device}`,
        `ip -n ${where} address add fd80:${net}::${host}/64 dev ${device} nodad`,
        `ip -n ${where} link set ${device} up`,
      ]),
      ...(astray ? [] : [
        `ip -n ${name} route add default via 10.80.${net}.1`,
        `ip -n ${name} route add default via fd80:${net}::1`,
      ]),
    );
    if (net > 0) this.#listen(name);
  }

  #listen(namespace: string): void {
    for (const [protocol, port] of [["tcp", TCP_PORT], ["udp", UDP_PORT]] as const) {
      const here = { namespace, protocol, port, address: "::", v6only: false } as const;
      if (this.dice.chance(0.9)) this.#listening.push({ ...here, family: 6 });
    }
  }

  /** A service of TCP, one of UDP, and one by a mark. */
  #serve({ family, virtual, reals, director }: Ends): void {
    const { dice } = this;
    const at = (address: string, port: number) =>
      family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
    const own = dice.chance(0.25);
    if (own) this.#listen(this.#name("d"));
    const kinds = [
      [`-t ${at(virtual, 80)}`, TCP_PORT],
      [`-u ${at(virtual, 53)}`, UDP_PORT],
      [`-f ${MARK + family}${family === 6 ? " -6" : ""}`, 0],
    ] as const;
    for (const [service, port] of kinds) {
      const scheduler = dice.of(["rr", "rr", "wrr", "sh", "lc"]);
      this.#services.push(`-A ${service} -s ${scheduler}`);
      const servers = [...reals, ...(own && dice.chance(0.5) ? [director] : [])];
      for (const server of servers) {
        if (dice.chance(0.2)) continue;
        const to = port === TCP_PORT && dice.chance(0.15) ? DEAD_PORT : port;
        const way = dice.chance(0.95) ? "-m" : "-g";
        const weight = dice.of([0, 1, 1, 1, 2]);
        const real = at(server, way === "-g" && port === TCP_PORT ? 80 : to);
        this.#services.push(`-a ${service} -r ${real} ${way} -w ${weight}`);
      }
    }
  }

  #rules({ family, virtual, client, reals }: Ends): void {
    const { dice } = this;
    const tables: Record<string, string[]> = {
      mangle: [
        `-A PREROUTING -d ${virtual} -p tcp -m tcp --dport ${TCP_PORT} ` +
        `-j MARK --set-xmark ${MARK + family}/0xffffffff`,
      ],
      filter: [],
      nat: [],
    };
    if (dice.chance(0.4)) {
      tables["nat"]?.push(
        dice.of([
          `-A POSTROUTING -s ${client} -j MASQUERADE`,
          `-A POSTROUTING -d ${reals[0]} -j MASQUERADE`,
          "-A POSTROUTING -o eth1 -j MASQUERADE",
          "-A POSTROUTING -j MASQUERADE",
        ]),
      );
    }
    for (let count = dice.below(4); count > 0; count--) {
      const [table, chain] = dice.of(CHAINS);
      const match = dice.of(MATCHES).replace("CLIENT", client).replace("REAL", dice.of(reals))
        .replace("VIRTUAL", virtual);
      const refused = /-o/.test(match) && /INPUT|PREROUTING/.test(chain) ||
        /-i/.test(match) && /OUTPUT|POSTROUTING/.test(chain);
      if (refused) continue;
      // Neighbour discovery of IPv6 is left alone: only the oracle of networks judges that.
      const ports = family === 6 && !match.startsWith("-p") ? `-p ${dice.of(["tcp", "udp"])} ` : "";
      tables[table]?.push(`-A ${chain} ${ports}${match} -j ${dice.of(["DROP", "DROP", "ACCEPT"])}`);
    }
    const text = Object.entries(tables).map(([name, lines]) =>
      [`*${name}`, ...lines, "COMMIT"].join("\n")
    ).join("\n");
    const tool = `${family === 4 ? "iptables" : "ip6tables"}-nft-restore`;
    this.#restores.push(`ip netns exec ${this.#name("d")} ${tool} <<'EOF'\n${text}\nEOF`);
  }

  #question(id: number): Asked {
    const { dice } = this;
    const { family, virtual, client, director, reals } = dice.of([...ENDS]);
    const [namespace, source] = dice.of(
      [
        ...[["c", client], ["c", client], ["c", client], ["c", client], ["d", director]],
        ["r0", reals[0]],
      ] as const,
    );
    const [protocol, port] = dice.of(
      [["tcp", 80], ["tcp", 80], ["udp", 53], ["tcp", TCP_PORT]] as const,
    );
    return {
      ...{ id, namespace: this.#name(namespace), protocol, family, source, port },
      ...{ sourcePort: 41_000 + id, destination: virtual },
    };
  }
}
