/**
 * A diagnosis as places and the hops between them, for all that draws it.
 *
 * @module
 */
import { printable } from "../../agent/log.ts";
import type { Diagnosis } from "../walk/diagnosis.ts";
import type { Namespace } from "../walk/namespace.ts";
import type { End, Step } from "../walk/trail.ts";
import { headline } from "./headline.ts";

/** Ways that are drawn; a service of many endpoints has many alike. */
export const WAYS_DRAWN_MAX = 16;

/** How a hop, or a place, stands. */
export type Standing = "passed" | "blocked" | "unknown";

/** A namespace that packets came to, or the end of a way. */
export interface Place {
  /** `p1`, `p2`, …: in the order in which packets came. */
  readonly id: string;
  readonly label: string;
  /** The node that it is on. */
  readonly node: string;
  /** What happened there, in the order of the first packet. */
  readonly does: readonly string[];
  readonly standing: Standing;
  /** `end` is no namespace, but why a way goes no further. */
  readonly kind: "host" | "namespace" | "end";
}

/** Packets from one place to the next. */
export interface Hop {
  readonly from: string;
  readonly to: string;
  /** The device that they left by. */
  readonly label: string;
  readonly standing: Standing;
  readonly direction: "request" | "answer";
}

/** The whole. */
export interface Graph {
  readonly title: string;
  readonly verdict: Diagnosis["verdict"];
  readonly places: readonly Place[];
  readonly hops: readonly Hop[];
  /** Ways that are not drawn. */
  readonly more: number;
}

/** Steps of a place that are told. */
const STEPS_MAX = 12;

/** The graph of a diagnosis. */
export function graphOf(diagnosis: Diagnosis): Graph {
  const drawing = new Drawing();
  for (const { request, answers } of diagnosis.ways.slice(0, WAYS_DRAWN_MAX)) {
    drawing.add(request, "request");
    for (const answer of answers.slice(0, WAYS_DRAWN_MAX)) drawing.add(answer, "answer");
  }
  return {
    title: printable(headline(diagnosis)),
    verdict: diagnosis.verdict,
    places: drawing.places(),
    hops: drawing.hops(),
    more: Math.max(0, diagnosis.ways.length - WAYS_DRAWN_MAX),
  };
}

interface Drawn {
  readonly place: Omit<Place, "does" | "standing">;
  readonly does: string[];
  standing: Standing;
}

class Drawing {
  readonly #places = new Map<string, Drawn>();
  readonly #hops = new Map<string, Hop>();

  places(): readonly Place[] {
    return Array.from(this.#places.values(), ({ place, does, standing }) => ({
      ...{ ...place, standing, does: does.slice(0, STEPS_MAX) },
    }));
  }

  hops(): readonly Hop[] {
    return [...this.#hops.values()];
  }

  add({ trail: { steps }, verdict, cause }: End, direction: Hop["direction"]): void {
    let last: { readonly at: Drawn; readonly step: Step } | undefined;
    for (const step of steps) {
      const at = this.#at(step.namespace);
      const text = printable(step.text);
      if (!at.does.includes(text)) at.does.push(text);
      if (last !== undefined && last.at !== at) {
        const label = last.step.device ?? step.device ?? "";
        this.#hop(last.at, at, label, "passed", direction);
      }
      last = { at, step };
    }
    if (cause === undefined || verdict === "delivered") return;
    const at = last?.at ?? this.#at(cause.namespace);
    if (at.standing !== "blocked") at.standing = verdict;
    const end = this.#end(cause.id, cause.what, cause.namespace.node);
    end.standing = verdict;
    this.#hop(at, end, cause.device ?? "", verdict, direction);
  }

  #at(namespace: Namespace): Drawn {
    const { node, label, snapshot: { host } } = namespace;
    return this.#drawn(namespace.key, {
      ...{ label: printable(label), node: printable(node) },
      kind: host ? "host" : "namespace",
    });
  }

  #end(id: string, what: string, node: string): Drawn {
    const label = printable(what);
    return this.#drawn(`end ${id} ${what}`, { label, node: printable(node), kind: "end" });
  }

  #drawn(key: string, place: Omit<Place, "id" | "does" | "standing">): Drawn {
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const id = `p${this.#places.size + 1}`;
    const drawn: Drawn = { place: { id, ...place }, does: [], standing: "passed" };
    this.#places.set(key, drawn);
    return drawn;
  }

  #hop(
    from: Drawn,
    to: Drawn,
    device: string,
    standing: Standing,
    direction: Hop["direction"],
  ): void {
    const hop = {
      ...{ from: from.place.id, to: to.place.id, label: printable(device), standing, direction },
    };
    const key = JSON.stringify(hop);
    if (!this.#hops.has(key)) this.#hops.set(key, hop);
  }
}
