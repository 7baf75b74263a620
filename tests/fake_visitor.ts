/**
 * A visitor of namespaces that enters none, for tests.
 *
 * @module
 */
import type { Interface } from "../agent/namespaces/netlink.ts";
import type { Target } from "../agent/namespaces/visit.ts";
import type { VisitResult } from "../agent/namespaces/visitor.ts";
import type { Outcome } from "../agent/outcome.ts";

/** Answers from what the test has put into it: by inode number, the cookie and the devices. */
export class FakeVisitor {
  readonly there = new Map<number, { cookie: bigint; interfaces?: readonly Interface[] }>();
  /** Those, by inode number, that there is no time for. */
  readonly late = new Set<number>();
  /** Visits so far. */
  visits = 0;
  /** Runs after a visit was carried out, before its answer is there. */
  onVisit: () => void = () => {};

  outcome(): Outcome {
    return { state: "working" };
  }

  async visit(targets: readonly Target[]): Promise<readonly VisitResult[]> {
    this.visits++;
    const results = targets.map(({ inum, cookie }): VisitResult => {
      if (this.late.has(inum)) return { state: "late", because: "Cannot read it in time" };
      const found = this.there.get(inum);
      if (found === undefined) return { state: "gone" };
      if (cookie !== 0n && cookie !== found.cookie) return { state: "gone" };
      const { interfaces = [] } = found;
      const sight = { cookie: found.cookie, files: {}, errors: {}, interfaces };
      return { state: "read", sight };
    });
    this.onVisit();
    await Promise.resolve();
    return results;
  }
}
