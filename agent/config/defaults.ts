/**
 * What the configuration is where a file says nothing.
 *
 * @module
 */
import { hostname } from "node:os";
import type { ParameterValue } from "../probe.ts";
import type { Config, UnitCard, UnitChoice } from "./config.ts";

/** Where the agent looks for its configuration when it is not told. */
export const CONFIG_FILE = "/etc/podskoop/config.yaml";

/** Size of a file sink's file before it is renamed, and how many are kept. */
export const SINK_BYTES_MAX = 16 * 1024 * 1024;
export const SINK_FILES_MAX = 5;

/** The whole configuration when nothing is asked for: every unit as its card says. */
export function defaultConfig(units: readonly UnitCard[]): Config {
  return {
    listen: { hostname: "0.0.0.0", port: 9102 },
    socket: "/run/podskoop/podskoop.sock",
    dataDir: "/var/lib/podskoop",
    pinDir: "/sys/fs/bpf/podskoop",
    nodeName: defaultNodeName(),
    sidecar: false,
    kubernetes: { scope: "node" },
    logLevel: "info",
    metrics: { names: ["podskoop"], additionalLabels: [] },
    events: {
      foldSeconds: 10,
      queueMax: 10_000,
      store: { hoursMax: 168, bytesMax: 256 * 1024 * 1024 },
      sinks: [],
    },
    access: {},
    units: Object.fromEntries(units.map((unit) => [unit.name, defaultChoice(unit)])),
  };
}

/** What is wanted of a unit that the configuration does not mention. */
export function defaultChoice(unit: UnitCard): UnitChoice {
  return {
    metrics: unit.gives.metrics && unit.byDefault.metrics,
    events: unit.gives.events && unit.byDefault.events,
    parameters: defaultParameters(unit),
  };
}

/** Every parameter of a unit at its default. */
export function defaultParameters(unit: UnitCard): Record<string, ParameterValue> {
  return Object.fromEntries(
    Object.entries(unit.parameters).map(([name, parameter]) => [name, parameter.default]),
  );
}

/**
 * The predecessor's manifests set the second variable; both come from the pod's `spec.nodeName`.
 */
function defaultNodeName(): string {
  for (const variable of ["NODE_NAME", "INSPECTOR_NODENAME"]) {
    const name = Deno.env.get(variable);
    if (name !== undefined && name !== "") return name;
  }
  return hostname();
}
