/**
 * Loss accounting: how many occurrences came to a stage of an event's way, went on from it, and
 * were lost there.
 *
 * At each stage `produced = delivered + lost + waiting`; once a stage has been closed nothing is
 * waiting.
 *
 * @module
 */

/** Occurrences of one probe at one stage. An event with a count of 7 is 7 occurrences. */
export interface StageCount {
  readonly probe: string;
  /** `kernel_limit`, `ring`, `queue`, `store`, or a sink's name. */
  readonly stage: string;
  readonly produced: number;
  readonly delivered: number;
  readonly lost: number;
  /**
   * Neither delivered nor lost yet: in a queue, an open window, or a write that has not come back.
   */
  readonly waiting: number;
}

interface Row {
  produced: number;
  delivered: number;
  lost: number;
}

/** What counts as occurrences: anything with a probe and a count. */
export interface Counted {
  readonly probe: string;
  readonly count: number;
}

/** The figures of one stage, by probe. There are as many rows as there are probes. */
export class Stage {
  readonly #rows = new Map<string, Row>();

  constructor(readonly name: string) {}

  /** Occurrences that came to this stage. */
  produced({ probe, count }: Counted): void {
    this.#row(probe).produced += count;
  }

  /** Occurrences that went on from this stage. */
  delivered({ probe, count }: Counted): void {
    this.#row(probe).delivered += count;
  }

  /** Occurrences that ended here. */
  lost({ probe, count }: Counted): void {
    this.#row(probe).lost += count;
  }

  /** Replaces a probe's figures by totals that were counted elsewhere, in the kernel. */
  set(probe: string, produced: number, lost: number): void {
    // Two totals read one after the other can be out of step; then what was produced is at least
    // what was lost.
    const atLeast = Math.max(produced, lost);
    this.#rows.set(probe, { produced: atLeast, delivered: atLeast - lost, lost });
  }

  /** Every probe's figures. */
  counts(): readonly StageCount[] {
    return [...this.#rows].map(([probe, { produced, delivered, lost }]) => ({
      probe,
      stage: this.name,
      produced,
      delivered,
      lost,
      waiting: produced - delivered - lost,
    }));
  }

  /** The figures of all probes together. */
  sum(): { readonly produced: number; readonly delivered: number; readonly lost: number } {
    const sum = { produced: 0, delivered: 0, lost: 0 };
    for (const row of this.#rows.values()) {
      sum.produced += row.produced;
      sum.delivered += row.delivered;
      sum.lost += row.lost;
    }
    return sum;
  }

  #row(probe: string): Row {
    const known = this.#rows.get(probe);
    if (known !== undefined) return known;
    const row = { produced: 0, delivered: 0, lost: 0 };
    this.#rows.set(probe, row);
    return row;
  }
}
