/**
 * Whose table of tracked connections is full: an event for a namespace in which the kernel has
 * dropped packets since the look before, as their connections found no place, or has thrown out
 * connections to make room. The kernel itself says that only in its log, for all namespaces
 * together. `conntrack` has the totals.
 *
 * | type | means |
 * |---|---|
 * | `CONNTRACK_FULL` | the table is full, or nearly; or connections had to go |
 * | `CONNTRACK_DROP` | it is not: the kernel had no memory, or two packets began one connection |
 *
 * `packets` are those dropped, `connections` those thrown out, both since the look before. A table
 * that was full and dropped nothing is no event.
 *
 * Source: as for `conntrack`, every 5 s. Cost: 45 µs for each namespace.
 *
 * @module
 */
import { type Change, count, defineCollector, linesOf, netnsTables } from "@agent/collector.ts";

const FILE = "netlink/conntrack";
/** The kernel makes room while the table is this full, and lets go of much at once. */
const FULL = 0.9;

interface Figures {
  readonly entries: number;
  readonly most: number;
  readonly drops: number;
  readonly thrownOut: number;
}

export default defineCollector({
  name: "conntrackfull",
  summary: "Packets dropped because the table of tracked connections is full, and whose",
  byDefault: true,
  source: netnsTables(FILE),
  metrics: {},
  parse(files) {
    figuresOf(files[FILE]);
    return [];
  },
  watch: {
    examples: [
      changeOf(true, { packets: 23, connections: 0, entries: 100, entries_max: 100 }),
      changeOf(true, { packets: 0, connections: 17, entries: 100, entries_max: 100 }),
      changeOf(false, { packets: 3, connections: 0, entries: 20, entries_max: 100 }),
    ],
    changes: (before, after) => changesOf(figuresOf(before[FILE]), figuresOf(after[FILE])),
  },
});

function changesOf(before: Figures, { entries, most, drops, thrownOut }: Figures): Change[] {
  const packets = grown(before.drops, drops);
  const connections = grown(before.thrownOut, thrownOut);
  if (packets + connections === 0) return [];
  const isFull = connections > 0 || most > 0 && Math.max(entries, before.entries) >= FULL * most;
  return [changeOf(isFull, { packets, connections, entries, entries_max: most })];
}

interface Loss extends Readonly<Record<string, number>> {
  readonly packets: number;
  readonly connections: number;
  readonly entries: number;
  readonly entries_max: number;
}

function changeOf(isFull: boolean, loss: Loss): Change {
  return {
    type: isFull ? "CONNTRACK_FULL" : "CONNTRACK_DROP",
    severity: loss.packets > 0 ? "error" : "warning",
    attributes: loss,
    message: isFull
      ? "The table of tracked connections is full"
      : "Connections could not be tracked, and their packets were dropped",
  };
}

/**
 * The kernel counts in 32 bits. Less by more than that explains is another namespace's, which got
 * the number of one that has ended, where the kernel tells them apart by nothing else (before Linux
 * 5.12).
 */
function grown(before: number, after: number): number {
  if (after >= before) return after - before;
  const more = after + 2 ** 32 - before;
  return more < 2 ** 31 ? more : 0;
}

function figuresOf(text: string): Figures {
  const figures = new Map(
    linesOf(FILE, text).map((line, index) => {
      const [name = "", word] = line.split(" ");
      return [name, count(word, FILE, index + 1)] as const;
    }),
  );
  const of = (name: string) => figures.get(name) ?? 0;
  return {
    entries: of("entries"),
    most: of("maxentries"),
    drops: of("drop"),
    thrownOut: of("early_drop"),
  };
}
