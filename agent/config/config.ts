/**
 * The configuration as the agent uses it: complete, checked, with canonical names.
 *
 * @module
 */

import type { Parameter, ParameterValue } from "../probe.ts";

/** What a parameter of a unit may be. */
export type ParameterCard = Omit<Parameter, "summary">;

/** Whose names `/metrics` uses: ours, or one of the predecessor's two. */
export type NameSet = "podskoop" | "inspector" | "kubeskoop";

/** What is wanted of one probe or collector. */
export interface UnitChoice {
  readonly metrics: boolean;
  readonly events: boolean;
  /** Values for the probe's parameters; a parameter that is absent has its default. */
  readonly parameters: Readonly<Record<string, ParameterValue>>;
}

/** One sink, by its kind, with that kind's own settings. */
export type SinkChoice =
  | { readonly kind: "stderr"; readonly format: "text" | "json" }
  | {
    readonly kind: "file";
    readonly path: string;
    readonly format: "text" | "json";
    /** The file is renamed to `PATH.1` (and so on) at this size. */
    readonly bytesMax: number;
    readonly filesMax: number;
  };

/** The whole configuration, with every default filled in. */
export interface Config {
  readonly listen: { readonly hostname: string; readonly port: number };
  readonly socket: string;
  readonly dataDir: string;
  readonly pinDir: string;
  readonly nodeName: string;
  /** A copy of the kernel's types, for a kernel that publishes none: a file, or a directory. */
  readonly btf?: string;
  /** The container runtime's socket, `unix:///PATH` or a path; without it, the usual places. */
  readonly runtimeEndpoint?: string;
  /** Watch the agent's own namespace alone, as a container of the pod that it is of. */
  readonly sidecar: boolean;
  /** Names from the Kubernetes API. */
  readonly kubernetes: {
    /** Nothing, this node's pods, or also all that has an address in the cluster. */
    readonly scope: "off" | "node" | "cluster";
    /** Without it, the service account of the pod that the agent runs in. */
    readonly kubeconfig?: string;
  };
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly metrics: {
    /** What a bare `/metrics` serves. */
    readonly names: readonly NameSet[];
    /** `app=${labels:app}`: labels of every series of a pod, from its own, or its workload. */
    readonly additionalLabels: readonly string[];
  };
  readonly events: {
    /** Identical events within this many seconds are one event with a count. */
    readonly foldSeconds: number;
    /** Events waiting to be stored and sent; one more is lost, and counted. */
    readonly queueMax: number;
    readonly store: { readonly hoursMax: number; readonly bytesMax: number };
    readonly sinks: readonly SinkChoice[];
  };
  readonly access: {
    /** File with one bearer token a line: `TOKEN ROLE`, role `reader` or `admin`. */
    readonly tokenFile?: string;
    readonly tls?: { readonly certFile: string; readonly keyFile: string };
  };
  /** By canonical name; every probe and collector has an entry. */
  readonly units: Readonly<Record<string, UnitChoice>>;
}

/**
 * What the configuration must know of the units that exist; the agent takes it from their cards.
 */
export interface UnitCard {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly gives: { readonly metrics: boolean; readonly events: boolean };
  readonly byDefault: { readonly metrics: boolean; readonly events: boolean };
  readonly parameters: Readonly<Record<string, ParameterCard>>;
}
