/**
 * Reads a configuration in podskoop's own schema.
 *
 * @module
 */
import * as v from "valibot";
import type { Config, SinkChoice, UnitCard } from "./config.ts";
import { defaultConfig, SINK_BYTES_MAX, SINK_FILES_MAX } from "./defaults.ts";
import { type Findings, isMapping, type Mapping, type Path } from "./document.ts";
import {
  additionalLabels,
  allowed,
  flag,
  listen,
  mapping,
  mappingOf,
  NODE_NAME,
  NODE_NAME_ALLOWED,
  oneOf,
  path,
  report,
  runtimeEndpoint,
  socket,
  whole,
} from "./keys.ts";
import { readUnits } from "./units.ts";

const NAME_SETS = ["podskoop", "inspector", "kubeskoop"] as const;
const LEVELS = ["debug", "info", "warn", "error"] as const;
const FORMATS = ["text", "json"] as const;
const SINK_KINDS = ["stderr", "file"] as const;

/** Every key of the schema; what `probes` and `sinks` hold is looked at one by one. */
export const ownSchema = mapping({
  listen: v.exactOptional(listen),
  socket: v.exactOptional(socket),
  dataDir: v.exactOptional(path),
  pinDir: v.exactOptional(path),
  nodeName: v.exactOptional(
    v.pipe(
      v.string(allowed("a name")),
      v.regex(NODE_NAME, allowed(NODE_NAME_ALLOWED)),
    ),
  ),
  btf: v.exactOptional(path),
  runtimeEndpoint: v.exactOptional(runtimeEndpoint),
  sidecar: v.exactOptional(flag),
  kubernetes: v.exactOptional(mapping({
    scope: v.exactOptional(oneOf(["off", "node", "cluster"])),
    kubeconfig: v.exactOptional(path),
  })),
  logLevel: v.exactOptional(oneOf(LEVELS)),
  metrics: v.exactOptional(mapping({
    names: v.exactOptional(v.pipe(
      v.array(oneOf(NAME_SETS), allowed(`a list of ${NAME_SETS.join(", ")}`)),
      v.minLength(1, allowed(`a list of at least one of ${NAME_SETS.join(", ")}`)),
    )),
    additionalLabels: v.exactOptional(additionalLabels),
  })),
  probes: v.exactOptional(
    mappingOf("a mapping of probes and collectors"),
  ),
  events: v.exactOptional(mapping({
    foldSeconds: v.exactOptional(whole(0, 3_600)),
    queueMax: v.exactOptional(whole(1, 1_000_000)),
    store: v.exactOptional(mapping({
      hoursMax: v.exactOptional(whole(1, 8_760)),
      bytesMax: v.exactOptional(whole(1024 * 1024, 1024 ** 4)),
    })),
    sinks: v.exactOptional(v.array(v.unknown(), allowed("a list of sinks"))),
  })),
  access: v.exactOptional(mapping({
    tokenFile: v.exactOptional(path),
    tls: v.exactOptional(mapping({ certFile: path, keyFile: path })),
  })),
});

/** All keys of the top mapping. */
export const TOP_KEYS: readonly string[] = Object.keys(ownSchema.pipe[1].entries);

/** Keys that only this schema has; `metrics` is also one of a predecessor's. */
export const OWN_KEYS = TOP_KEYS.filter((key) => key !== "metrics");

const fileSink = mapping({
  kind: v.literal("file"),
  path,
  format: v.exactOptional(oneOf(FORMATS)),
  bytesMax: v.exactOptional(whole(4096, 1024 ** 4)),
  filesMax: v.exactOptional(whole(1, 1_000)),
});

const stderrSink = mapping({
  kind: v.literal("stderr"),
  format: v.exactOptional(oneOf(FORMATS)),
});

const sinkKind = v.looseObject({ kind: oneOf(SINK_KINDS) }, allowed("a sink, such as `stderr`"));

/** The configuration that a mapping stands for; undefined when `findings` has an error. */
export function readOwn(
  top: Mapping,
  units: readonly UnitCard[],
  findings: Findings,
): Config | undefined {
  const parsed = v.safeParse(ownSchema, top);
  if (!parsed.success) {
    report(parsed.issues, [], findings.error);
    return undefined;
  }
  const { metrics, probes, events, access, kubernetes, ...rest } = parsed.output;
  const base = defaultConfig(units);
  return {
    ...base,
    ...rest,
    kubernetes: { ...base.kubernetes, ...kubernetes },
    metrics: { ...base.metrics, ...metrics },
    events: {
      ...base.events,
      ...events,
      store: { ...base.events.store, ...events?.store },
      sinks: events?.sinks === undefined ? base.events.sinks : readSinks(events.sinks, findings),
    },
    access: { ...base.access, ...access },
    units: { ...base.units, ...readUnits(probes ?? {}, units, findings) },
  };
}

/** The sinks that are in order; each of the others is a mistake of its own. */
function readSinks(items: readonly unknown[], findings: Findings): readonly SinkChoice[] {
  return items.flatMap((item, index) => {
    const at: Path = ["events", "sinks", index];
    return readSink(typeof item === "string" ? { kind: item } : item, at, findings) ?? [];
  });
}

function readSink(item: unknown, at: Path, findings: Findings): SinkChoice | undefined {
  const mistake = findings.mistake;
  const kind = v.safeParse(sinkKind, isMapping(item) ? item : `${item}`);
  if (!kind.success) {
    report(kind.issues, at, mistake);
    return undefined;
  }
  const parsed = v.safeParse(kind.output.kind === "file" ? fileSink : stderrSink, item);
  if (!parsed.success) {
    report(parsed.issues, at, mistake);
    return undefined;
  }
  const sink = parsed.output;
  if (sink.kind === "stderr") return { format: "text", ...sink };
  return { format: "json", bytesMax: SINK_BYTES_MAX, filesMax: SINK_FILES_MAX, ...sink };
}
