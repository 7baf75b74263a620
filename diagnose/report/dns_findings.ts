/**
 * What a name's lookup shows: nameservers that are not reached, names that there are not, searches
 * that take long.
 *
 * @module
 */
import { formatAddress } from "../packet/address.ts";
import type { Nameserver, Resolution } from "../kube/dns.ts";
import type { Diagnosis } from "../walk/diagnosis.ts";
import type { Finding } from "./finding.ts";

/** Names that are asked for in vain before the right one: from here on it is worth a word. */
const FRUITLESS_MIN = 3;
/** What resolvers before glibc 2.26, and others, take of a search list. */
const SEARCH_DOMAINS_MAX = 6;
const SEARCH_CHARACTERS_MAX = 256;

type Place = Finding["where"];

/** The findings of a lookup; `findingsOf` are those of a walk to a nameserver. */
export function dnsFindings(
  resolution: Resolution | undefined,
  where: Place,
  findingsOf: (diagnosis: Diagnosis) => readonly Finding[],
): Finding[] {
  if (resolution === undefined || resolution.by === "hosts") return [];
  const { nameservers } = resolution;
  const none = nameservers.every(({ udp }) => udp.verdict === "blocked");
  return [
    ...nameservers.flatMap((each) => unreached(each, none, resolution, findingsOf)),
    ...unanswered(resolution, where),
    ...ofSearch(resolution, where),
  ];
}

function unreached(
  { address, udp, tcp }: Nameserver,
  none: boolean,
  { resolver: { timeoutSeconds } }: Resolution,
  findingsOf: (diagnosis: Diagnosis) => readonly Finding[],
): Finding[] {
  const text = formatAddress(address);
  const own = findingsOf(udp);
  const policies = own.filter(({ id }) => id === "policy-denies")
    .map((each): Finding => ({
      ...each,
      id: "dns-policy",
      message: `nameserver ${text}: ${each.message}`,
    }));
  const [first] = own;
  const over = udp.verdict === "reachable" && tcp.verdict === "blocked";
  if (over) {
    const [why] = findingsOf(tcp);
    return [...policies, ...(why === undefined ? [] : [tcpFinding(text, why)])];
  }
  if (first === undefined || udp.verdict === "reachable") return policies;
  const isEmpty = own.some(({ id }) => id === "service-empty");
  const isBlocked = udp.verdict === "blocked";
  const slow = none || !isBlocked
    ? ""
    : `; each lookup waits ${timeoutSeconds} s before the next one is asked`;
  return [...policies, {
    ...first,
    id: isBlocked ? isEmpty ? "dns-no-endpoints" : "dns-unreachable" : "dns-unknown",
    severity: isBlocked && none ? "critical" : "warning",
    certainty: isBlocked ? first.certainty : "possible",
    message: `the nameserver ${text} ${isBlocked ? "is not" : "may not be"} reached: ` +
      `${first.message}${slow}`,
  }];
}

function tcpFinding(text: string, why: Finding): Finding {
  return {
    ...why,
    id: "dns-tcp",
    severity: "hint",
    message: `the nameserver ${text} is reached over UDP only: answers that are too long for a ` +
      `datagram fail: ${why.message}`,
  };
}

function unanswered(resolution: Resolution, where: Place): Finding[] {
  const { name, by, because = "", none, tried } = resolution;
  if (by !== "nobody") return [];
  return [{
    id: none ? "dns-no-such-name" : "dns-name-unknown",
    severity: none ? "critical" : "warning",
    certainty: none ? "certain" : "possible",
    direction: "request",
    message: `the name "${name}" leads nowhere that is known: ${because}`,
    where,
    evidence: tried.map((each) => ({ kind: "name", text: `${each.name}: ${each.answer}` })),
    confirm: `getent ahosts ${name}`,
  }];
}

function ofSearch({ name, tried, resolver }: Resolution, where: Place): Finding[] {
  const { search, ndots, ignored } = resolver;
  const hint = (id: string, message: string, text: string, fix: string): Finding => ({
    ...{ id, severity: "hint", certainty: "certain", direction: "request", message, where, fix },
    evidence: [{ kind: "resolver", text }],
  });
  const found: Finding[] = [];
  const fruitless = tried.filter(({ answer }) => answer === "none").length;
  const last = tried.at(-1)?.answer;
  if (fruitless >= FRUITLESS_MIN && last !== "none") {
    found.push(hint(
      "dns-search",
      `"${name}" is asked for in vain ${fruitless} times, for each family, before it is asked ` +
        `for as it is: it has fewer than ${ndots} dots`,
      `options ndots:${ndots}`,
      `write "${name}." with a dot at its end, or set a lower ndots in the pod's dnsConfig`,
    ));
  }
  const characters = search.join(" ").length;
  if (search.length > SEARCH_DOMAINS_MAX || characters > SEARCH_CHARACTERS_MAX) {
    found.push(hint(
      "dns-search-long",
      `the search list has ${search.length} domains and ${characters} characters: some resolvers ` +
        `take ${SEARCH_DOMAINS_MAX} domains and ${SEARCH_CHARACTERS_MAX} characters only`,
      `search ${search.join(" ")}`,
      "shorten the search list",
    ));
  }
  if (ignored > 0) {
    found.push(hint(
      "dns-nameservers",
      `${ignored} of the nameservers are never asked: only the first three are`,
      `${resolver.nameservers.map(formatAddress).join(", ")} are asked`,
      "leave three nameservers in resolv.conf",
    ));
  }
  return found;
}
