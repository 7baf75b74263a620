/**
 * Joins what a probe saw with who it was: an occurrence becomes an event.
 *
 * @module
 */
import { printable } from "./log.ts";
import type { AddressOwner, Identity } from "./pods/identity.ts";
import type { Attribute, Endpoint, NetnsKey, NewEvent, Occurrence } from "./events/event.ts";

/** What joining needs to know of the node. */
export interface Knowledge {
  readonly node: string;
  identityOf(netns: NetnsKey, cgroup?: bigint, pid?: number): Identity;
  /** Who has an address as seen from a namespace. */
  owner(address: string, from: NetnsKey): AddressOwner | undefined;
  /** `symbol+0xOFFSET`, or the address in hexadecimal where symbols cannot be read. */
  symbol(address: bigint): string;
  /** RFC 3339 with nanoseconds, from nanoseconds since boot. */
  wallTime(at: bigint): string;
}

/** The event that an occurrence is. */
export function join(probe: string, occurrence: Occurrence, known: Knowledge): NewEvent {
  const { source, destination, stack, location, transport } = occurrence;
  const identity = known.identityOf(occurrence.netns, occurrence.cgroup, occurrence.owner);
  const address = source?.address ?? destination?.address;
  const attributes: Record<string, Attribute> = { ...occurrence.attributes };
  for (const [name, end] of Object.entries(occurrence.ends ?? {})) {
    Object.assign(attributes, attributesOf(name, withOwner(end, occurrence.netns, known)));
  }
  if (location !== undefined && location !== 0n) attributes["location"] = known.symbol(location);
  return {
    time: known.wallTime(occurrence.at),
    node: known.node,
    probe,
    type: occurrence.type,
    severity: occurrence.severity,
    pod: {
      kind: identity.kind,
      namespace: identity.namespace,
      name: identity.name,
      ...(identity.uid === undefined ? {} : { uid: identity.uid }),
      ...(identity.workload === undefined ? {} : { workload: identity.workload }),
    },
    ...(source === undefined ? {} : { source: withOwner(source, occurrence.netns, known) }),
    ...(destination === undefined ? {} : {
      destination: withOwner(destination, occurrence.netns, known),
    }),
    network: {
      ...(transport === undefined ? {} : { transport }),
      ...(address === undefined ? {} : { type: address.includes(":") ? "ipv6" : "ipv4" }),
      ...(occurrence.interface === undefined || occurrence.interface === ""
        ? {}
        : { interface: printable(occurrence.interface) }),
      netns: occurrence.netns.inum,
    },
    ...(occurrence.process === undefined ? {} : {
      process: { pid: occurrence.process.pid, comm: printable(occurrence.process.comm) },
    }),
    attributes,
    ...(stack === undefined || stack.length === 0
      ? {}
      : { stack: stack.map((frame) => known.symbol(frame)) }),
    count: 1,
    message: occurrence.message,
  };
}

function withOwner(endpoint: Endpoint, from: NetnsKey, known: Knowledge): Endpoint {
  const { port, ...rest } = endpoint;
  const portPart = port === undefined || port === 0 ? {} : { port };
  return { ...rest, ...portPart, ...known.owner(endpoint.address, from) };
}

function attributesOf(name: string, { address, port, pod, service, node }: Endpoint) {
  return {
    [name]: address,
    ...(port === undefined ? {} : { [`${name}_port`]: port }),
    ...(pod === undefined ? {} : { [`${name}_pod`]: `${pod.namespace}/${pod.name}` }),
    ...(service === undefined
      ? {}
      : { [`${name}_service`]: `${service.namespace}/${service.name}` }),
    ...(node === undefined ? {} : { [`${name}_node`]: node }),
  };
}
