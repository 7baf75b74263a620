/**
 * What a metric is: the card every probe and collector writes for each figure it gives.
 *
 * @module
 */

/** Units a metric may carry; its name ends in the unit, before any `_total`. */
export type Unit = "seconds" | "bytes" | "ratio";

/**
 * The same figure under the predecessor's names, each without its prefix: `netdev_rxbytes` is
 * exposed as `kubeskoop_netdev_rxbytes`, `netdevrxbytes` as `inspector_pod_netdevrxbytes`. Several
 * names, where the documents misprint one. With `where`, only the samples whose labels have these
 * values go under the alias.
 */
export interface Alias {
  readonly kubeskoop?: readonly string[];
  readonly inspector?: readonly string[];
  readonly where?: Readonly<Record<string, string>>;
  /** What our value is multiplied by, where the predecessor's unit is not the base unit. */
  readonly times?: number;
}

/**
 * A metric's card. Its name, without the prefix `podskoop_`, is its key in the card's `metrics`.
 */
export interface Metric {
  /**
   * What only grows is a counter. `unknown` is for figures that the kernel prints and does not
   * explain.
   */
  readonly type: "counter" | "gauge" | "unknown" | "histogram";
  /** One sentence, no full stop, as Prometheus shows it. */
  readonly help: string;
  readonly unit?: Unit;
  /**
   * Labels besides `node`, `namespace` and `pod`. None holds an address, port, pid, command name or
   * path.
   */
  readonly labels?: readonly string[];
  /**
   * Most label sets of one pod (of the node, for a node's figure), at most 1,024; default 1. Beyond
   * it label sets fold into `other`, and are counted.
   */
  readonly seriesMax?: number;
  /**
   * Upper bounds of a histogram's buckets, ascending, in the metric's unit; the last bucket has
   * none.
   */
  readonly buckets?: readonly number[];
  readonly alias?: Alias | readonly Alias[];
}

/**
 * Observations: how many fell into each bucket (not cumulative; the last has no bound), and their
 * sum.
 */
export interface Histogram {
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Metric cards by name. */
export type Metrics = Readonly<Record<string, Metric>>;

/** Values of a metric's own labels. */
type LabelsOf<M extends Metric> = M extends { readonly labels: readonly (infer L extends string)[] }
  ? { readonly labels: Readonly<Record<L, string>> }
  : { readonly labels?: undefined };

/** One value of one of a card's own metrics. */
export type Sample<M extends Metrics = Metrics> = {
  readonly [N in keyof M & string]: {
    readonly metric: N;
    readonly value: number;
  } & LabelsOf<M[N]>;
}[keyof M & string];
