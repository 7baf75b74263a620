/**
 * What `podskoop top` shows: figures of each pod, from two readings of `/metrics`.
 *
 * @module
 */
import { readSamples } from "./samples.ts";
import { type Column, cut, paint, table, type Terminal } from "./terminal.ts";

/** A column, and the counters that it adds up. The only place that knows their names. */
export const FIGURES = {
  rx: {
    title: "RX B/s",
    help: "bytes received a second",
    of: ["podskoop_netdev_receive_bytes_total"],
  },
  tx: {
    title: "TX B/s",
    help: "bytes sent a second",
    of: ["podskoop_netdev_transmit_bytes_total"],
  },
  packets: {
    title: "PKT/s",
    help: "packets received and sent a second",
    of: ["podskoop_netdev_receive_packets_total", "podskoop_netdev_transmit_packets_total"],
  },
  drops: {
    title: "DROP/s",
    help: "packets dropped by the kernel a second",
    of: ["podskoop_packetloss_packets_total"],
  },
  retransmits: {
    title: "RTX/s",
    help: "TCP segments sent again a second",
    of: ["podskoop_tcp_retrans_segs_total"],
  },
  resets: {
    title: "RST/s",
    help: "TCP resets sent and received a second",
    of: ["podskoop_tcpreset_resets_total"],
  },
  /** Only while `socketlatency` is on, which it is not by default. */
  slow: {
    title: "SLOW/s",
    help: "reads a second of what had waited for more than 100 ms, while socketlatency is on",
    of: ["podskoop_socketlatency_above_100ms_total"],
    where: { label: "operation", value: "read" },
  },
} as const satisfies Readonly<
  Record<string, {
    title: string;
    help: string;
    of: readonly string[];
    where?: { label: string; value: string };
  }>
>;

/** A column's name, as `--sort` takes it. */
export type Figure = keyof typeof FIGURES;

const NAMES: readonly Figure[] = [
  ...["rx", "tx", "packets", "drops", "retransmits", "resets", "slow"] as const,
];
const KEYS = new Map<string, Figure>(
  NAMES.flatMap((name) => FIGURES[name].of.map((metric) => [metric, name] as const)),
);
const WANTED: ReadonlySet<string> = new Set(KEYS.keys());

/** `--sort` takes one of these. */
export const FIGURE_NAMES: readonly Figure[] = NAMES;

/** The figure of that name. */
export function figureOf(name: string): Figure | undefined {
  return NAMES.find((each) => each === name);
}

/** NaN where the agent has no such counter: nobody counts it, which is not the same as none. */
type Figures = Record<Figure, number>;

/** The counters of each pod at one moment. */
export interface Reading {
  /** Milliseconds, of a clock that never goes back. */
  readonly at: number;
  readonly pods: ReadonlyMap<string, Totals>;
}

interface Totals {
  readonly namespace: string;
  readonly pod: string;
  readonly figures: Figures;
}

/** One line of the table: figures a second. */
export interface Row extends Figures {
  readonly namespace: string;
  readonly pod: string;
}

/** Reads the counters out of a text of `/metrics`. */
export function readingOf(text: string, at: number): Reading {
  const pods = new Map<string, { namespace: string; pod: string; figures: Figures }>();
  for (const { name, labels, value } of readSamples(text, WANTED)) {
    const figure = KEYS.get(name);
    const { namespace = "", pod = "" } = labels;
    if (figure === undefined || !Number.isFinite(value) || !isOf(figure, labels)) continue;
    const key = `${namespace}\n${pod}`;
    const entry = pods.get(key) ?? { namespace, pod, figures: zeros() };
    entry.figures[figure] = known(entry.figures[figure]) + value;
    pods.set(key, entry);
  }
  // Who counts it for one pod counts it for all, and the others have none.
  const isCounted = [...pods.values()].some(({ figures }) => !Number.isNaN(figures.slow));
  for (const { figures } of isCounted ? pods.values() : []) figures.slow = known(figures.slow);
  return { at, pods };
}

function isOf(figure: Figure, labels: Readonly<Record<string, string>>): boolean {
  const card = FIGURES[figure];
  return !("where" in card) || labels[card.where.label] === card.where.value;
}

function known(value: number): number {
  return Number.isNaN(value) ? 0 : value;
}

function zeros(): Figures {
  return { rx: 0, tx: 0, packets: 0, drops: 0, retransmits: 0, resets: 0, slow: NaN };
}

/**
 * What grew between two readings, a second. What was not there before began at 0; what went back
 * began anew, and shows nothing this once.
 */
export function rows(before: Reading, after: Reading): Row[] {
  const seconds = Math.max(0.001, (after.at - before.at) / 1_000);
  return [...after.pods].map(([key, { namespace, pod, figures }]) => {
    const old = before.pods.get(key)?.figures ?? zeros();
    const row: Row = { namespace, pod, ...zeros() };
    for (const name of NAMES) {
      row[name] = Math.max(0, figures[name] - known(old[name])) / seconds;
    }
    return row;
  });
}

/** The rows that are wanted, the greatest first; names decide between equals. */
export function sorted(all: readonly Row[], by: Figure, pod?: string): Row[] {
  return all.filter((row) => pod === undefined || isPod(row, pod)).toSorted((a, b) =>
    known(b[by]) - known(a[by]) || compare(a.namespace, b.namespace) || compare(a.pod, b.pod)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isPod(row: Row, wanted: string): boolean {
  return row.pod === wanted || nameOf(row) === wanted;
}

function nameOf({ namespace, pod }: Row): string {
  return namespace === "" && pod === "" ? "host" : `${namespace}/${pod}`;
}

/** The table, one line a pod. */
export function figureTable(
  shown: readonly Row[],
  by: Figure | undefined,
  terminal: Pick<Terminal, "columns" | "colour">,
): string {
  const names = NAMES.filter((name) =>
    name !== "slow" || name === by || shown.some((row) => !Number.isNaN(row[name]))
  );
  const columns: Column[] = [
    { title: "POD", cut: true },
    ...names.map((name): Column => ({
      title: FIGURES[name].title + (name === by ? "↓" : ""),
      align: "right",
      ...(name === "drops" || name === "resets"
        ? { colour: (cell: string) => cell === "0" ? undefined : "yellow" }
        : {}),
    })),
  ];
  return table(
    columns,
    shown.map((row) => [nameOf(row), ...names.map((name) => shortNumber(row[name]))]),
    terminal,
  );
}

const STEPS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]] as const;

/** At most five characters: `0`, `0.3`, `17`, `1.2k`, `340M`; `-` for what is not known. */
export function shortNumber(value: number): string {
  if (Number.isNaN(value)) return "-";
  if (value === 0) return "0";
  if (value < 0.05) return "~0";
  if (value < 9.95) return value.toFixed(1).replace(/\.0$/, "");
  if (value < 999.5) return value.toFixed(0);
  // From the least step on whose three digits are not four when they are rounded.
  const [step, letter] = STEPS.findLast(([size]) => value < size * 999.5) ?? [1e12, "T"];
  const scaled = value / step;
  return (scaled < 9.95 ? scaled.toFixed(1) : scaled.toFixed(0)) + letter;
}

/** The first line of the live table. */
export function headline(
  words: readonly string[],
  terminal: Pick<Terminal, "columns" | "colour">,
): string {
  return `${paint(terminal, "bold", cut(words.join("   "), terminal.columns ?? 200))}\n`;
}
