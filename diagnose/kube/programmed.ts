/**
 * What kube-proxy has programmed on a node for a service: its mode, by what it leaves in the rules,
 * and what of them is that service's.
 *
 * Source: kube-proxy's `proxier.go` of the modes iptables, ipvs and nftables, Kubernetes v1.33.
 *
 * @module
 */
import { type Address, formatAddress } from "../packet/address.ts";

/** Rules of a node, as its tools print them. */
export interface NodeRules {
  readonly node: string;
  /** `iptables-save` of either kind and family. */
  readonly iptables: readonly string[];
  /** `nft -j list ruleset`. */
  readonly nft: string;
  /** `/proc/net/ip_vs`. */
  readonly ipvs: string;
}

/** kube-proxy's modes. */
export type ProxyMode = "iptables" | "ipvs" | "nftables";

/** The service's port that is looked for. */
export interface Wanted {
  /** `shop/web` */
  readonly service: string;
  readonly address: Address;
  readonly port: number;
  readonly protocol: string;
}

/** What was found of it. */
export interface Programmed {
  readonly mode: ProxyMode;
  /** A rule, chain or virtual server that is its; undefined where there is none. */
  readonly entry?: string;
  /** Whether a client is led to the endpoint that it got first. */
  readonly sticky: boolean;
}

/** What is programmed for a service on a node; undefined where no kube-proxy's rules are. */
export function programmedOn(rules: NodeRules, wanted: Wanted): Programmed | undefined {
  const mode = modeOf(rules);
  if (mode === undefined) return undefined;
  if (mode === "iptables") return { mode, ...byIptables(rules.iptables, wanted) };
  if (mode === "nftables") return { mode, ...byNft(rules.nft, wanted) };
  return { mode, ...byIpvs(rules.ipvs, wanted) };
}

/** Each mode leaves what no other does; a mode that was left long ago may leave chains. */
function modeOf({ iptables, nft, ipvs }: NodeRules): ProxyMode | undefined {
  if (/"name":\s*"kube-proxy"/.test(nft)) return "nftables";
  const isIpvs = iptables.some((text) => /--match-set KUBE-CLUSTER-IP /.test(text));
  if (isIpvs || iptables.length === 0 && /^(TCP|UDP|SCTP) /m.test(ipvs)) return "ipvs";
  return iptables.some((text) => /^:KUBE-SERVICES /m.test(text)) ? "iptables" : undefined;
}

type Found = Omit<Programmed, "mode">;

function byIptables(texts: readonly string[], { service, address, port }: Wanted): Found {
  const length = address.family === 4 ? 32 : 128;
  const own = texts.flatMap((text) => text.split("\n")).filter((line) =>
    line.includes(`"${service}:`) || line.includes(`"${service} `) || line.includes(`"${service}"`)
  );
  const entry = own.find((line) =>
    line.includes(`--dport ${port} `) &&
    (line.includes(`-d ${formatAddress(address)}/${length} `) || line.includes("KUBE-NODEPORTS "))
  );
  const sticky = own.some((line) => line.includes("-m recent ") && line.includes("--rcheck"));
  return { ...(entry === undefined ? {} : { entry }), sticky };
}

/** Chains are called `service-HASH-NAMESPACE/NAME/PROTOCOL/PORTNAME`, sets `affinity-…`. */
function byNft(text: string, { service, protocol }: Wanted): Found {
  const rest = `-${service}/${protocol.toLowerCase()}/`;
  const name = (kind: string) => {
    for (let at = text.indexOf(rest); at >= 0; at = text.indexOf(rest, at + 1)) {
      const whole = text.slice(text.lastIndexOf('"', at) + 1, text.indexOf('"', at));
      if (whole.startsWith(`${kind}-`)) return whole;
    }
    return undefined;
  };
  const entry = name("service");
  return {
    ...(entry === undefined ? {} : { entry: `chain ${entry}` }),
    sticky: name("affinity") !== undefined,
  };
}

/** `TCP  0A600011:0050 rr persistent 10800 FFFFFFFF` */
function byIpvs(text: string, { address, port, protocol }: Wanted): Found {
  const hex = address.bits.toString(16).toUpperCase().padStart(8, "0");
  const at = address.family === 4 ? hex : `[${expanded(address)}]`;
  const key = `${protocol} ${at}:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = text.split("\n").map((each) => each.trim().replace(/\s+/g, " "));
  const entry = lines.find((each) => each === key || each.startsWith(`${key} `));
  return {
    ...(entry === undefined ? {} : { entry: `virtual server ${entry}` }),
    sticky: entry?.includes(" persistent ") === true,
  };
}

/** All eight groups of four digits, as the kernel prints them there. */
function expanded({ bits }: Address): string {
  return bits.toString(16).padStart(32, "0").replace(/(.{4})(?=.)/g, "$1:");
}
