/**
 * How a process looks a name up: what resolv.conf and hosts say, as glibc takes them.
 *
 * Sources: resolv.conf(5), hosts(5); glibc's `resolv/res_init.c` and `resolv/res_query.c`.
 *
 * @module
 */
import { type Address, parseAddress } from "../packet/address.ts";

/** glibc's bounds. */
const NAMESERVERS_MAX = 3;
const NDOTS_MAX = 15;
const TIMEOUT_SECONDS_MAX = 30;
const ATTEMPTS_MAX = 5;

/** What resolv.conf says. */
export interface Resolver {
  readonly nameservers: readonly Address[];
  /** Nameservers beyond the three that are asked. */
  readonly ignored: number;
  readonly search: readonly string[];
  /** Names with fewer dots are searched first. */
  readonly ndots: number;
  readonly timeoutSeconds: number;
  readonly attempts: number;
}

/** Reads a resolv.conf; without a nameserver, the machine itself is asked. */
export function resolverOf(text: string): Resolver {
  const nameservers: Address[] = [];
  let search: readonly string[] = [];
  const options = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line.trim().split(/\s+/);
    if (keyword === "nameserver") {
      const address = parseAddress((words[0] ?? "").replace(/%.*$/, ""));
      if (address !== undefined) nameservers.push(address);
    }
    // The last one counts, whichever of the two it is.
    if (keyword === "search") search = words;
    if (keyword === "domain") search = words.slice(0, 1);
    if (keyword === "options") {
      for (const word of words) {
        const [name = "", value] = word.split(":");
        if (value !== undefined && /^\d+$/.test(value)) options.set(name, Number(value));
      }
    }
  }
  const option = (name: string, otherwise: number, max: number) =>
    Math.min(options.get(name) ?? otherwise, max);
  const asked = nameservers.slice(0, NAMESERVERS_MAX);
  return {
    nameservers: asked.length > 0 ? asked : [LOCALHOST],
    ignored: nameservers.length - asked.length,
    search: search.map((each) => each.replace(/\.$/, "")),
    ndots: option("ndots", 1, NDOTS_MAX),
    timeoutSeconds: option("timeout", 5, TIMEOUT_SECONDS_MAX),
    attempts: option("attempts", 2, ATTEMPTS_MAX),
  };
}

const LOCALHOST: Address = { family: 4, bits: 0x7f000001n };

/** The names that are asked for, one after the other until one is answered. */
export function candidates(name: string, { search, ndots }: Resolver): readonly string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const dots = name.split(".").length - 1;
  const searched = search.map((domain) => domain === "" ? name : `${name}.${domain}`);
  return [...new Set(dots >= ndots ? [name, ...searched] : [...searched, name])];
}

/** The addresses that hosts has for a name; then no nameserver is asked. */
export function inHosts(text: string, name: string): readonly Address[] {
  const wanted = name.replace(/\.$/, "").toLowerCase();
  return text.split("\n").flatMap((line) => {
    const [first = "", ...names] = (line.split("#")[0] ?? "").trim().split(/\s+/);
    const address = parseAddress(first);
    const isIts = names.some((each) => each.toLowerCase() === wanted);
    return address !== undefined && isIts ? [address] : [];
  });
}

/** The cluster's domain, by the search list that the kubelet gives pods. */
export function clusterDomain({ search }: Pick<Resolver, "search">): string {
  const [found] = search.flatMap((each) => /^svc\.(.+)$/.exec(each)?.[1] ?? []);
  return found ?? "cluster.local";
}
