/**
 * How full the kernel-side tables of a probe are, and what they pushed out or turned away.
 *
 * @module
 */
import { layoutOf } from "../bpf/btf.ts";
import { contentsOf } from "../bpf/elf.ts";
import { LRU, type PinnedMap } from "../bpf/maps.ts";
import type { Attached } from "../bpf/object.ts";
import type { HookedProbe } from "./probe.ts";
import { type Decoder, decoder, type EventOf, struct, total } from "./schema.ts";

/** `struct table_uses` of bpf/include/table.h, in the map NAME_uses beside the table NAME. */
const USES = struct("table_uses", {
  added: total,
  removed: total,
  refused: total,
  evicted: total,
});
type Uses = EventOf<typeof USES.fields>;
const USES_OF = /^(.+)_uses$/;

/** How full a table is. */
export interface Occupancy {
  readonly map: string;
  readonly entries: number;
  readonly entriesMax: number;
  /** Entries that others pushed out; undefined for a table that pushes none out. */
  readonly evictions?: number;
  /** Entries that there was no room for; undefined where the probe has a figure of its own. */
  readonly refusals?: number;
}

interface Table {
  readonly name: string;
  readonly map: PinnedMap;
  readonly uses: PinnedMap;
  readonly places: Places | undefined;
  /** The kernel goes on while we read: what is calculated shall not go down. */
  evictions: number;
}

/** Places in the values of an array. */
interface Places {
  /** Of one place, and of its field that is 0 while it is free. */
  readonly bytes: number;
  readonly offset: number;
}

/** The tables of one object, which are all that have a map of uses beside them. */
export class Tables {
  readonly #tables: readonly Table[];
  readonly #decode: Decoder<typeof USES.fields> | undefined;

  /**
   * @throws {Errno} when a map cannot be opened
   * @throws {TypeError} when the object's layout is not what is said of it here
   */
  constructor(attached: Attached, object: Uint8Array, card: Pick<HookedProbe, "places">) {
    const found: Table[] = [];
    for (const uses of contentsOf(object).maps) {
      const name = USES_OF.exec(uses)?.[1];
      if (name === undefined) continue;
      const places = placesOf(card.places?.[name], object);
      found.push({
        name,
        map: attached.map(name),
        uses: attached.map(uses),
        places,
        evictions: 0,
      });
    }
    this.#tables = found;
    if (found.length === 0) return;
    this.#decode = decoder(USES, layoutOf(object, USES.struct), () => new Map());
  }

  /** Looks at every table. Throws Errno. */
  read(): readonly Occupancy[] {
    return this.#tables.map((table) => this.#read(table));
  }

  #read(table: Table): Occupancy {
    const { name: map, places } = table;
    const { entriesMax, type, valueBytes } = table.map.info;
    if (places !== undefined) {
      const { evicted: evictions, refused: refusals } = this.#usesOf(table);
      const entries = table.map.countPlaces(places.bytes, places.offset);
      const most = entriesMax * Math.floor(valueBytes / places.bytes);
      return { map, entries, entriesMax: most, evictions, refusals };
    }
    const seen = this.#look(table);
    const { entries, refusals } = seen;
    if (!LRU.has(type)) return { map, entries, entriesMax, refusals };
    // A program may have taken an entry out and not have said so yet: a second look shows that.
    if (seen.evictions > table.evictions) {
      table.evictions = Math.max(
        table.evictions,
        Math.min(seen.evictions, this.#look(table).evictions),
      );
    }
    return { map, entries, entriesMax, evictions: table.evictions, refusals };
  }

  /** What is added or removed while the entries are counted must not count as pushed out. */
  #look(table: Table): { entries: number; evictions: number; refusals: number } {
    const { added } = this.#usesOf(table);
    const entries = table.map.count();
    const { removed, refused } = this.#usesOf(table);
    return { entries, evictions: added - removed - entries, refusals: refused };
  }

  #usesOf({ uses }: Table): Uses {
    let found: Uses = { added: 0, removed: 0, refused: 0, evicted: 0 };
    uses.read((_key, _keyOffset, value, offset) => {
      found = this.#decode?.(value, offset, uses.info.valueBytes) ?? found;
    });
    return found;
  }
}

function placesOf(
  said: { readonly struct: string; readonly owner: string } | undefined,
  object: Uint8Array,
): Places | undefined {
  if (said === undefined) return undefined;
  const { size, members } = layoutOf(object, said.struct);
  const owner = members.get(said.owner);
  if (owner?.size !== 8) {
    throw new TypeError(`Cannot look for "${said.owner}" in ${said.struct}: it is no __u64 of it`);
  }
  return { bytes: size, offset: owner.offset };
}
