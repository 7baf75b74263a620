/**
 * Makes the rules that kube-proxy writes for many services, as its tools print them.
 *
 * @module
 */

/** Each service has its own address, and this many endpoints behind it. */
export interface Cluster {
  readonly services: number;
  readonly endpoints: number;
}

const PORT = 80;
const TARGET_PORT = 8080;

/** The address of a service. */
export function clusterIp(at: number): string {
  return `10.${96 + (at >> 16)}.${at >> 8 & 255}.${at & 255}`;
}

/** The address of one of its endpoints. */
export function endpointIp(at: number, endpoint: number): string {
  const number = at * 8 + endpoint;
  return `10.${128 + (number >> 16)}.${number >> 8 & 255}.${number & 255}`;
}

function hash(kind: string, ...parts: readonly number[]): string {
  const number = parts.reduce((sum, part) => Math.imul(sum, 31) + part * 7919 + 17, 5) >>> 0;
  return `KUBE-${kind}-${number.toString(36).toUpperCase().padStart(16, "A")}`;
}

const HEAD = (name: string) => `:${name} - [0:0]`;

/** `iptables-save -c` of a node with kube-proxy in mode iptables. */
export function iptablesServices({ services, endpoints }: Cluster): string {
  const nat: string[] = [];
  const heads: string[] = [];
  const portals: string[] = [];
  for (let at = 0; at < services; at++) {
    const service = hash("SVC", at);
    const name = `--comment "shop/web-${at}:http`;
    heads.push(HEAD(service));
    portals.push(
      `[0:0] -A KUBE-SERVICES -d ${clusterIp(at)}/32 -p tcp -m comment ${name} cluster IP" ` +
        `-m tcp --dport ${PORT} -j ${service}`,
    );
    nat.push(
      `[0:0] -A ${service} ! -s 10.128.0.0/9 -d ${clusterIp(at)}/32 -p tcp ` +
        `-m comment ${name} cluster IP" -m tcp --dport ${PORT} -j KUBE-MARK-MASQ`,
    );
    for (let endpoint = 0; endpoint < endpoints; endpoint++) {
      const separate = hash("SEP", at, endpoint);
      const to = endpointIp(at, endpoint);
      const rest = endpoints - endpoint;
      const dice = rest === 1
        ? ""
        : `-m statistic --mode random --probability ${(1 / rest).toFixed(11)} `;
      heads.push(HEAD(separate));
      nat.push(
        `[0:0] -A ${service} -m comment ${name} -> ${to}:${TARGET_PORT}" ${dice}-j ${separate}`,
        `[0:0] -A ${separate} -s ${to}/32 -m comment ${name}" -j KUBE-MARK-MASQ`,
        `[0:0] -A ${separate} -p tcp -m comment ${name}" -m tcp ` +
          `-j DNAT --to-destination ${to}:${TARGET_PORT}`,
      );
    }
  }
  return [FILTER, NAT_HEAD, ...heads, NAT_RULES, ...portals, NODE_PORTS, ...nat, "COMMIT", ""]
    .join("\n");
}

const FILTER = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
[0:0] -A INPUT -m conntrack --ctstate NEW -m comment --comment "lb firewall" -j KUBE-PROXY-FIREWALL
[0:0] -A INPUT -j KUBE-FIREWALL
[0:0] -A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
[0:0] -A FORWARD -m conntrack --ctstate NEW -m comment --comment "services" -j KUBE-SERVICES
[0:0] -A OUTPUT -m conntrack --ctstate NEW -m comment --comment "services" -j KUBE-SERVICES
[0:0] -A OUTPUT -j KUBE-FIREWALL
[0:0] -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "local" \
-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
[0:0] -A KUBE-FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name invalid -j DROP
[0:0] -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
[0:0] -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT`.replaceAll("\\\n", "");

const NAT_HEAD = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]`;

const NAT_RULES = `[0:0] -A PREROUTING -m comment --comment "service portals" -j KUBE-SERVICES
[0:0] -A OUTPUT -m comment --comment "service portals" -j KUBE-SERVICES
[0:0] -A POSTROUTING -m comment --comment "postrouting rules" -j KUBE-POSTROUTING
[0:0] -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
[0:0] -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
[0:0] -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
[0:0] -A KUBE-POSTROUTING -m comment --comment "SNAT" -j MASQUERADE --random-fully`;

const NODE_PORTS = `[0:0] -A KUBE-SERVICES -m comment --comment "this must be the last rule" \
-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`.replaceAll("\\\n", "");

type Json = Readonly<Record<string, unknown>>;

function rule(chain: string, ...expr: readonly Json[]): Json {
  return { rule: { family: "ip", table: "kube-proxy", chain, handle: 1, expr } };
}

function base(name: string, hook: string, prio: number, type = "nat"): Json {
  const own = { family: "ip", table: "kube-proxy", name, handle: 1 };
  return { chain: { ...own, type, hook, prio, policy: "accept" } };
}

const payload = (protocol: string, field: string): Json => ({ payload: { protocol, field } });
const L4 = { meta: { key: "l4proto" } };
const is = (left: Json, right: unknown, op = "=="): Json => ({ match: { op, left, right } });

/** `nft -j list ruleset` of a node with kube-proxy in mode nftables. */
export function nftServices({ services, endpoints }: Cluster): string {
  const elements: unknown[] = [];
  const chains: Json[] = [];
  const rules: Json[] = [];
  const masquerade = { mangle: { key: { meta: { key: "mark" } }, value: 0x4000 } };
  for (let at = 0; at < services; at++) {
    const short = hash("S", at).slice(-8);
    const service = `service-${short}-shop/web-${at}/tcp/http`;
    elements.push([{ concat: [clusterIp(at), "tcp", PORT] }, { goto: { target: service } }]);
    chains.push({ chain: { family: "ip", table: "kube-proxy", name: service, handle: 1 } });
    const own = Array.from({ length: endpoints }, (_, endpoint) => `endpoint-${at}-${endpoint}`);
    rules.push(rule(service, {
      vmap: {
        key: { numgen: { mode: "random", mod: endpoints, offset: 0 } },
        data: { set: own.map((target, number) => [number, { goto: { target } }]) },
      },
    }));
    own.forEach((name, endpoint) => {
      const addr = endpointIp(at, endpoint);
      chains.push({ chain: { family: "ip", table: "kube-proxy", name, handle: 1 } });
      rules.push(
        rule(name, is(payload("ip", "saddr"), addr), masquerade),
        rule(name, is(L4, "tcp"), { dnat: { addr, port: TARGET_PORT } }),
      );
    });
  }
  const key = { concat: [payload("ip", "daddr"), L4, payload("th", "dport")] };
  return JSON.stringify({
    nftables: [
      { metainfo: { version: "1.0.9", json_schema_version: 1 } },
      { table: { family: "ip", name: "kube-proxy", handle: 1 } },
      {
        map: {
          ...{ family: "ip", name: "service-ips", table: "kube-proxy", handle: 2 },
          ...{ type: ["ipv4_addr", "inet_proto", "inet_service"], map: "verdict" },
          elem: elements,
        },
      },
      base("nat-prerouting", "prerouting", -100),
      base("nat-postrouting", "postrouting", 100),
      ...chains,
      rule("nat-prerouting", { vmap: { key, data: "@service-ips" } }),
      rule("nat-postrouting", is({ meta: { key: "mark" } }, 0x4000), { masquerade: null }),
      ...rules,
    ],
  });
}
