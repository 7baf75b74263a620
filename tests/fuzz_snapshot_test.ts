/**
 * Every parser of a snapshot on 10,000 texts that were damaged at random: it gives what the schema
 * of its part allows, or throws a SyntaxError that says so. `FUZZ_SEED=N` repeats a failure.
 */
import assert from "node:assert/strict";
import * as v from "valibot";
import {
  parseConntrack,
  parseFdb,
  parseFilters,
  parseLinks,
  parseListeners,
  parseNeighbours,
  parseNexthops,
  parseNft,
  parsePrograms,
  parseQdiscs,
  parseRoutes,
  parseRules,
  parseVlans,
} from "../diagnose/snapshot/parse.ts";
import { partShapes } from "../diagnose/snapshot/parts.ts";
import { damaged, randomOf } from "./damage.ts";
import { capture } from "./snapshot_captures.ts";

const INPUTS = 10_000;
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 20_251_121);
const objects = v.array(v.record(v.string(), v.unknown()));

interface Case {
  readonly text: string;
  readonly parse: (text: string) => unknown;
  readonly shape: v.GenericSchema;
}

const VLANS = '[{"ifname":"va","vlans":[{"vlan":1,"flags":["PVID"]},{"vlan":10,"vlanEnd":12}]}]';
const CASES: Readonly<Record<string, Case>> = {
  links: { text: capture("links"), parse: parseLinks, shape: partShapes.links },
  routes: {
    text: capture("routes4"),
    parse: (text) => parseRoutes("inet", text),
    shape: partShapes.routes,
  },
  routes6: {
    text: capture("routes6"),
    parse: (text) => parseRoutes("inet6", text),
    shape: partShapes.routes,
  },
  nexthops: { text: capture("nexthops"), parse: parseNexthops, shape: partShapes.nexthops },
  rules: {
    text: capture("rules4"),
    parse: (text) => parseRules("inet", text),
    shape: partShapes.rules,
  },
  neighbours: {
    text: capture("neighbours"),
    parse: parseNeighbours,
    shape: partShapes.neighbours,
  },
  fdb: { text: capture("fdb"), parse: parseFdb, shape: partShapes.fdb },
  vlans: { text: VLANS, parse: parseVlans, shape: partShapes.vlans },
  qdiscs: { text: capture("qdiscs"), parse: parseQdiscs, shape: partShapes.qdiscs },
  filters: {
    text: capture("filters-ingress"),
    parse: (text) => parseFilters("v1", "ingress", text),
    shape: partShapes.filters,
  },
  programs: { text: capture("programs"), parse: parsePrograms, shape: partShapes.programs },
  listeners: { text: capture("listeners"), parse: parseListeners, shape: partShapes.listeners },
  conntrack: {
    text: "262144",
    parse: (text) => parseConntrack("17", text),
    shape: partShapes.conntrack,
  },
  nft: { text: capture("nft"), parse: parseNft, shape: objects },
};

for (const [name, { text, parse, shape }] of Object.entries(CASES)) {
  Deno.test(`the snapshot's ${name} survive ${INPUTS} damaged texts`, () => {
    const random = randomOf(SEED);
    const tally = { accepted: 0, refused: 0 };
    for (let input = 0; input < INPUTS; input++) {
      const wrong = damaged(text, random);
      let value: unknown;
      try {
        value = parse(wrong);
        tally.accepted++;
      } catch (error) {
        const told = error instanceof SyntaxError && error.message.startsWith("Cannot parse");
        assert.ok(told, `FUZZ_SEED=${SEED}, input ${input}: ${error}\n${wrong}`);
        assert.ok(error.message.length < 2_000, `input ${input}: ${error.message}`);
        tally.refused++;
        continue;
      }
      // What is written must read back.
      const again = v.safeParse(shape, JSON.parse(JSON.stringify(value)));
      assert.ok(again.success, `FUZZ_SEED=${SEED}, input ${input}: ${wrong}`);
    }
    assert.ok(tally.accepted > 0 && tally.refused > 0, JSON.stringify(tally));
  });
}
