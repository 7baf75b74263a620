/**
 * What the routes answer with, as schemas: OpenAPI shows them, and tests hold answers against them.
 * The compiler holds them against the agent's own types.
 *
 * @module
 */
import * as v from "valibot";
import type { Event } from "../events/event.ts";
import type { PodView, Status } from "../surface.ts";

const names = v.strictObject({ namespace: v.string(), name: v.string() });

const workload = v.exactOptional(
  v.pipe(v.string(), v.description("What made the pod: Deployment/web")),
);

const endpoint = v.strictObject({
  address: v.pipe(v.string(), v.description("IPv4 or IPv6, as inet_ntop prints it")),
  port: v.exactOptional(v.number()),
  pod: v.exactOptional(v.strictObject({ ...names.entries, workload })),
  service: v.exactOptional(names),
  node: v.exactOptional(v.string()),
});

/** One event. */
export const eventShape = v.strictObject({
  id: v.pipe(v.string(), v.description("Decimal; ordered as the events are")),
  time: v.pipe(
    v.string(),
    v.description("RFC 3339 with nanoseconds: the kernel's time of the first occurrence"),
  ),
  node: v.string(),
  probe: v.string(),
  type: v.string(),
  severity: v.picklist(["info", "warning", "error"]),
  pod: v.exactOptional(v.strictObject({
    kind: v.string(),
    namespace: v.string(),
    name: v.string(),
    uid: v.exactOptional(v.string()),
    workload,
  })),
  source: v.exactOptional(endpoint),
  destination: v.exactOptional(endpoint),
  network: v.strictObject({
    transport: v.exactOptional(v.string()),
    type: v.exactOptional(v.picklist(["ipv4", "ipv6"])),
    interface: v.exactOptional(v.string()),
    netns: v.pipe(v.number(), v.description("Inode number of the network namespace")),
  }),
  process: v.exactOptional(v.strictObject({ pid: v.number(), comm: v.string() })),
  attributes: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
  stack: v.exactOptional(v.array(v.string())),
  count: v.pipe(v.number(), v.description("Occurrences that this event stands for")),
  message: v.string(),
}) satisfies v.GenericSchema<Event>;

/** `GET /events`. */
export const eventsShape = v.strictObject({
  events: v.pipe(v.array(eventShape), v.description("Oldest first")),
  cursor: v.exactOptional(
    v.pipe(v.string(), v.description("Parameter for the page of older events; absent at the end")),
  ),
});

const unit = {
  name: v.string(),
  state: v.picklist(["Running", "Stopped", "Failed", "Degraded", "Late", "Absent"]),
  because: v.exactOptional(v.string()),
  hooks: v.exactOptional(v.string()),
  passedOver: v.exactOptional(
    v.array(v.strictObject({ hooks: v.string(), because: v.string() })),
  ),
} as const;

const units = v.array(v.strictObject(unit));

/** `GET /status`. */
export const statusShape = v.strictObject({
  available_probes: v.strictObject({ event: v.array(v.string()), metrics: v.array(v.string()) }),
  inuse_probes: v.strictObject({ event: units, metrics: units }),
  version: v.string(),
  node: v.string(),
  kernel: v.strictObject({ release: v.string(), btf: v.boolean() }),
  started: v.string(),
  namespaces: v.number(),
  pods: v.number(),
  sources: units,
  sinks: v.array(v.strictObject({ ...unit, delivered: v.number(), lost: v.number() })),
  store: v.strictObject({ ...unit, events: v.number(), bytes: v.number() }),
  config: v.strictObject({ origin: v.string(), error: v.exactOptional(v.string()) }),
  missing: v.array(
    v.strictObject({ what: v.string(), disables: v.string(), remedy: v.string() }),
  ),
}) satisfies v.GenericSchema<Status>;

/** `GET /status?format=flat`, with the predecessor's names of its modules. */
export const flatStatusShape = v.strictObject({
  Procfd: v.boolean(),
  flow: v.boolean(),
  insp_conntrack: v.boolean(),
  insp_ipvs: v.boolean(),
  insp_kernellatency: v.boolean(),
  insp_netiftxlat: v.boolean(),
  insp_netsoftirq: v.boolean(),
  insp_packetloss: v.boolean(),
  insp_qdisc: v.boolean(),
  insp_socketlatency: v.boolean(),
  insp_virtcmdlatency: v.boolean(),
  procio: v.boolean(),
  procnetdev: v.boolean(),
  procnetstat: v.boolean(),
  procsnmp: v.boolean(),
  procsock: v.boolean(),
  procsoftnet: v.boolean(),
  proctcpsummary: v.boolean(),
});

const podShape = v.strictObject({
  kind: v.picklist(["host", "pod", "pod-uid", "container", "netns", "process", "unknown"]),
  namespace: v.string(),
  name: v.string(),
  uid: v.exactOptional(v.string()),
  labels: v.exactOptional(v.record(v.string(), v.string())),
  workload,
  netns: v.pipe(v.number(), v.description("Inode number of the network namespace")),
  netnsCookie: v.pipe(v.string(), v.description("SO_NETNS_COOKIE, decimal")),
  addresses: v.array(v.string()),
  pids: v.array(v.number()),
  containerIds: v.array(v.string()),
  runtime: v.exactOptional(v.string()),
  goneAt: v.exactOptional(v.pipe(v.string(), v.description("RFC 3339"))),
}) satisfies v.GenericSchema<PodView>;

/** `GET /pods`. */
export const podsShape = v.strictObject({ pods: v.array(podShape) });

/** `PUT /config`, when it worked. */
export const changesShape = v.strictObject({
  changed: v.array(v.string()),
  warnings: v.array(v.string()),
});

/** Every failure. */
export const errorShape = v.object({ error: v.string() });

/** `PUT /config`, when it did not work. */
export const errorsShape = v.strictObject({ error: v.string(), errors: v.array(v.string()) });
