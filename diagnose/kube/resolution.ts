/**
 * A name's lookup as a part of a diagnosis: whether those are reached who are asked for it.
 *
 * @module
 */
import type { Address } from "../packet/address.ts";
import type { Diagnosis, Question } from "../walk/diagnosis.ts";
import { addressesOf } from "../walk/device.ts";
import { isLoopback } from "../walk/lookup.ts";
import type { Namespace } from "../walk/namespace.ts";
import { DNS_PORT, type Lookup, type Nameserver } from "./dns.ts";

/** The diagnosis with how its destination's name is looked up, if it was asked for by one. */
export function withResolution(
  diagnosis: Diagnosis,
  walk: (question: Question) => Diagnosis,
): Diagnosis {
  const { question: { lookup, source }, sender } = diagnosis;
  if (lookup === undefined) return diagnosis;
  const nameservers = lookup.by === "hosts" || sender === undefined
    ? []
    : lookup.resolver.nameservers.map((address): Nameserver => {
      const from = sourceFor(sender, source, address);
      const asked = { source: from, destination: address, port: DNS_PORT, from: sender.label };
      return {
        address,
        udp: walk({ ...asked, protocol: "udp" }),
        tcp: walk({ ...asked, protocol: "tcp" }),
      };
    });
  const verdict = verdictOf(diagnosis, lookup, nameservers);
  return { ...diagnosis, verdict, resolution: { ...lookup, nameservers } };
}

/** The sender's own address of the nameserver's family; the one that was asked about if it fits. */
function sourceFor(sender: Namespace, source: Address, nameserver: Address): Address {
  const loops = isLoopback(nameserver);
  const fits = source.family === nameserver.family && isLoopback(source) === loops;
  if (fits) return source;
  const own = sender.devices.flatMap((device) => addressesOf(device, nameserver.family))
    .find(({ address }) => isLoopback(address) === loops);
  return own?.address ?? source;
}

/** Nothing is reached by a name that nobody can be asked for; one who answers is enough. */
function verdictOf(
  { verdict }: Diagnosis,
  { addresses, none }: Lookup,
  nameservers: readonly Nameserver[],
): Diagnosis["verdict"] {
  const asked = nameservers.map(({ udp }) => udp.verdict);
  if (asked.length > 0 && asked.every((each) => each === "blocked")) return "blocked";
  const answered = asked.length === 0 || asked.includes("reachable");
  if (addresses.length > 0) {
    return answered || verdict === "blocked" ? verdict : "unknown";
  }
  return none && answered ? "blocked" : "unknown";
}
