/**
 * Reads configurations written for podskoop's predecessors: KubeSkoop's exporter and, before it,
 * its inspector 0.1.
 *
 * In both, the probes that are listed are exactly those that run.
 *
 * @module
 */
import * as v from "valibot";
import type { ParameterValue } from "../probe.ts";
import type { Config, SinkChoice, UnitCard, UnitChoice } from "./config.ts";
import { defaultConfig, defaultParameters, SINK_BYTES_MAX, SINK_FILES_MAX } from "./defaults.ts";
import { type Findings, isMapping, type Mapping, type Path, quoted } from "./document.ts";
import {
  additionalLabels,
  allowed,
  flag,
  mapping,
  mappingOf,
  parseAddress,
  path,
  report,
  socket,
  whole,
} from "./keys.ts";
import { suggestion } from "./nearest.ts";
import { checkParameter, type Half, unitsNamed } from "./units.ts";

const optional = v.exactOptional;
const text = v.string(allowed("a text"));
const list = v.array(v.unknown(), allowed("a list"));
const port = whole(0, 65_535);

/** `config.yaml` of KubeSkoop 1.0. */
const kubeskoop = mapping({
  debugMode: optional(flag),
  debugmode: optional(flag),
  port: optional(port),
  address: optional(text),
  enableController: optional(flag),
  controllerAddr: optional(text),
  metrics: optional(mapping({ probes: optional(list), additionalLabels: optional(list) })),
  event: optional(mapping({ probes: optional(list), sinks: optional(list) })),
});

/** `config.yaml` of the inspector 0.1. */
const inspector = mapping({
  debugmode: optional(flag),
  metric_config: optional(mapping({
    interval: optional(v.number(allowed("a number of seconds"))),
    port: optional(port),
    probes: optional(list),
    verbose: optional(flag),
    expose_labels: optional(list),
  })),
  event_config: optional(mapping({
    port: optional(port),
    infotolog: optional(flag),
    loki_enable: optional(flag),
    loki_address: optional(text),
    probes: optional(list),
  })),
});

/** Keys by which each schema is told from ours, with what stands in our own schema for each. */
export const INSPECTOR_KEYS: Readonly<Record<string, string>> = {
  "metric_config": "probes",
  "event_config": "probes and events",
};
export const KUBESKOOP_KEYS: Readonly<Record<string, string>> = {
  debugMode: "logLevel: debug",
  debugmode: "logLevel: debug",
  port: "listen",
  address: "listen",
  enableController: "nothing",
  controllerAddr: "nothing",
  event: "probes and events.sinks",
};

/** What each argument of a probe is called as a parameter. */
const ARGUMENTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  packetloss: { enableStack: "stack" },
};

/** Reads KubeSkoop's schema; undefined when `findings` has an error. */
export function readKubeskoop(
  top: Mapping,
  units: readonly UnitCard[],
  findings: Findings,
): Config | undefined {
  const parsed = v.safeParse(kubeskoop, top);
  if (!parsed.success) {
    report(parsed.issues, [], findings.error);
    return undefined;
  }
  const { metrics, event, address } = parsed.output;
  const old = parsed.output;
  for (const key of ["enableController", "controllerAddr"] as const) {
    if (old[key] === undefined || old[key] === false) continue;
    findings.warning([key], "has no effect: there is no controller, each agent answers by itself");
  }
  const base = defaultConfig(units);
  const listen = old.port === undefined
    ? base.listen
    : { hostname: base.listen.hostname, port: old.port };
  const chosen = new Listed(units, findings);
  chosen.add("metrics", ["metrics", "probes"], metrics?.probes);
  chosen.add("events", ["event", "probes"], event?.probes);
  return {
    ...base,
    metrics: {
      ...base.metrics,
      additionalLabels: readLabels(metrics?.additionalLabels ?? [], findings),
    },
    logLevel: old.debugMode ?? old.debugmode ?? false ? "debug" : base.logLevel,
    listen,
    ...address === undefined ? {} : readAddress(address, findings),
    events: { ...base.events, sinks: readSinks(event?.sinks ?? [], findings) },
    units: chosen.choices(),
  };
}

/** Reads the inspector's schema; undefined when `findings` has an error. */
export function readInspector(
  top: Mapping,
  units: readonly UnitCard[],
  findings: Findings,
): Config | undefined {
  const parsed = v.safeParse(inspector, top);
  if (!parsed.success) {
    report(parsed.issues, [], findings.error);
    return undefined;
  }
  const { debugmode = false, metric_config: metrics, event_config: events } = parsed.output;
  if (metrics?.interval !== undefined) {
    findings.warning(
      ["metric_config", "interval"],
      "has no effect: figures are collected at each scrape",
    );
  }
  if (metrics?.verbose === true) {
    findings.warning(["metric_config", "verbose"], "has no effect: `debugmode` shows all");
  }
  noLabels(["metric_config", "expose_labels"], metrics?.expose_labels, findings);
  if (events?.port !== undefined) {
    findings.warning(
      ["event_config", "port"],
      "has no effect: events are at /events and /events/stream of the one listener",
    );
  }
  if (events?.loki_enable === true) noLoki(["event_config", "loki_enable"], findings);
  const base = defaultConfig(units);
  const chosen = new Listed(units, findings);
  chosen.add("metrics", ["metric_config", "probes"], metrics?.probes);
  chosen.add("events", ["event_config", "probes"], events?.probes);
  return {
    ...base,
    logLevel: debugmode ? "debug" : base.logLevel,
    listen: { hostname: base.listen.hostname, port: metrics?.port ?? base.listen.port },
    events: {
      ...base.events,
      sinks: events?.infotolog === true ? [{ kind: "stderr", format: "text" }] : [],
    },
    units: chosen.choices(),
  };
}

/** The units that lists name, each with the halves that it is listed for. */
class Listed {
  readonly #choices: Record<string, { -readonly [K in keyof UnitChoice]: UnitChoice[K] }>;

  constructor(private readonly units: readonly UnitCard[], private readonly findings: Findings) {
    this.#choices = Object.fromEntries(units.map((unit) => [
      unit.name,
      { metrics: false, events: false, parameters: defaultParameters(unit) },
    ]));
  }

  choices(): Config["units"] {
    return this.#choices;
  }

  add(half: Half, at: Path, items: readonly unknown[] | undefined): void {
    if (items === undefined || items.length === 0) {
      this.findings.warning(at, `lists no probe, so there are no ${half}`);
      return;
    }
    items.forEach((item, index) => this.#addItem(half, [...at, index], item));
  }

  #addItem(half: Half, at: Path, item: unknown): void {
    const { findings, units } = this;
    const entry = isMapping(item) ? item : { name: item };
    const { name, args, ...others } = entry;
    if (typeof name !== "string") {
      findings.mistake(
        at,
        `it must be a probe's name, or a mapping of name and args: current value is ${
          quoted(item)
        }`,
      );
      return;
    }
    for (const key of Object.keys(others)) {
      findings.mistake(
        [...at, key],
        `there is no such key: ${suggestion(key, ["name", "args"])}`,
      );
    }
    for (const unit of unitsNamed(name, at, units, findings)) {
      const choice = this.#choices[unit.name];
      if (choice === undefined) continue;
      if (!unit.gives[half]) findings.mistake(at, `${unit.name} gives no ${half}`);
      else choice[half] = true;
      const parameters = this.#readArguments(args, [...at, "args"], unit);
      choice.parameters = { ...choice.parameters, ...parameters };
    }
  }

  #readArguments(args: unknown, at: Path, unit: UnitCard): Record<string, ParameterValue> {
    const parameters: Record<string, ParameterValue> = {};
    if (args === undefined) return parameters;
    if (!isMapping(args)) {
      this.findings.mistake(at, `it must be a mapping: current value is ${quoted(args)}`);
      return parameters;
    }
    for (const [key, value] of Object.entries(args)) {
      const name = ARGUMENTS[unit.name]?.[key] ?? key;
      const where = [...at, key];
      if (checkParameter(name, value, where, unit, this.findings)) parameters[name] = value;
    }
    return parameters;
  }
}

/** `tcp://HOST:PORT`, `unix:///PATH`, `HOST:PORT`. */
function readAddress(
  address: string,
  findings: Findings,
): Partial<Pick<Config, "listen" | "socket">> {
  const [, unix] = /^unix:\/\/(\/.*)$/.exec(address) ?? [];
  if (unix !== undefined) {
    const parsed = v.safeParse(socket, unix);
    if (!parsed.success) {
      report(parsed.issues, ["address"], findings.error);
      return {};
    }
    findings.warning(["address"], "is the unix socket here; TCP listens on 127.0.0.1:9102 besides");
    return { socket: unix, listen: { hostname: "127.0.0.1", port: 9102 } };
  }
  const listen = parseAddress(address.replace(/^tcp:\/\//, ""));
  if (listen !== undefined) return { listen };
  findings.error(
    ["address"],
    `it must be tcp://HOST:PORT, unix:///PATH or HOST:PORT: current value is ${quoted(address)}`,
  );
  return {};
}

const oldSink = mapping({
  name: text,
  args: optional(mappingOf("a mapping")),
});

function readSinks(items: readonly unknown[], findings: Findings): readonly SinkChoice[] {
  return items.flatMap((item, index) => readSink(item, ["event", "sinks", index], findings) ?? []);
}

function readSink(item: unknown, at: Path, findings: Findings): SinkChoice | undefined {
  const mistake = findings.mistake;
  const parsed = v.safeParse(oldSink, typeof item === "string" ? { name: item } : item);
  if (!parsed.success) {
    report(parsed.issues, at, mistake);
    return undefined;
  }
  const { name, args = {} } = parsed.output;
  if (name === "stderr") return { kind: "stderr", format: "json" };
  if (name === "loki") {
    noLoki(at, findings);
    return undefined;
  }
  if (name !== "file") {
    mistake([...at, "name"], `no sink is called ${quoted(name)}: allowed are stderr, file, loki`);
    return undefined;
  }
  const file = v.safeParse(mapping({ path }), args);
  if (!file.success) {
    report(file.issues, [...at, "args"], mistake);
    return undefined;
  }
  return {
    kind: "file",
    path: file.output.path,
    format: "json",
    bytesMax: SINK_BYTES_MAX,
    filesMax: SINK_FILES_MAX,
  };
}

function noLoki(at: Path, findings: Findings): void {
  findings.warning(
    at,
    "has no effect: the Loki sink is not in this build; the agent keeps events by itself",
  );
}

function noLabels(at: Path, labels: readonly unknown[] | undefined, findings: Findings): void {
  if (labels === undefined || labels.length === 0) return;
  findings.warning(at, "has no effect: write metrics.additionalLabels in podskoop's own schema");
}

/** The entries that can be used. */
function readLabels(entries: readonly unknown[], findings: Findings): readonly string[] {
  const taken: string[] = [];
  for (const [index, entry] of entries.entries()) {
    const read = v.safeParse(additionalLabels, [...taken, entry]);
    if (read.success) taken.push(`${entry}`);
    else {
      const at = ["metrics", "additionalLabels", index];
      findings.warning(at, `has no effect: ${read.issues[0].message}`);
    }
  }
  return taken;
}
