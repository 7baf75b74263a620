import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { readKernel } from "../bpf/kernel.ts";
import { Attributes, BPF, bpf, buffer, close } from "../bpf/libc.ts";
import { openPin, PinnedMap } from "../bpf/maps.ts";
import { pinnedAt } from "../bpf/pins.ts";
import { compile } from "../bpf/testdata/compile.ts";
import { idsShown, onKernel, openDescriptors } from "../bpf/testdata/lab.ts";
import type { UnitChoice } from "./config/config.ts";
import { discoverProbes, readObject } from "./discover.ts";
import { defineProbe, type HookedProbe, records } from "./probe.ts";
import { type ProbeSurroundings, RunningProbe } from "./running_probe.ts";
import { struct, u32 } from "./schema.ts";
import { HOST, type Owner, Registry } from "./series.ts";

const ROUNDS = 11;
const ON: UnitChoice = { metrics: true, events: true, parameters: {} };

function nothing(): void {}

/** Every pin below a directory, by its path. */
function pinsBelow(path: string): readonly string[] {
  return [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) =>
    isDirectory ? pinsBelow(`${path}/${name}`) : [`${path}/${name}`]
  );
}

/** What the kernel has by those pins, as `map 12`. */
function heldBy(path: string): readonly string[] {
  return pinsBelow(path).flatMap((pin) => {
    const pinned = pinnedAt(pin);
    if (pinned === undefined) return [];
    const { kind, id, programId } = pinned;
    const program = programId === undefined ? [] : [`program ${programId}`];
    return [`${kind} ${id}`, ...program];
  });
}

function stillThere(held: ReadonlySet<string>): readonly string[] {
  const kinds = [["program", "prog"], ["link", "link"], ["map", "map"]] as const;
  const shown = kinds.flatMap(([kind, word]) => [...idsShown(word)].map((id) => `${kind} ${id}`));
  return shown.filter((name) => held.has(name));
}

/** Starts a probe, lets `use` do with it what it does, and stops it, many times. */
async function rounds(
  card: HookedProbe,
  surroundings: ProbeSurroundings,
  use: (probe: RunningProbe) => void,
): Promise<void> {
  const held = new Set<string>();
  let open = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const probe = await RunningProbe.start(card, ON, surroundings);
    for (const name of heldBy(surroundings.pinDir)) held.add(name);
    use(probe);
    deepStrictEqual((await probe.stop(nothing)).left, []);
    deepStrictEqual([...Deno.readDirSync(surroundings.pinDir)], []);
    // What the first round opens for good is no leak.
    if (round === 0) open = openDescriptors();
  }
  deepStrictEqual(stillThere(held), []);
  strictEqual(openDescriptors(), open);
}

function cardOf(object: string, part: Partial<HookedProbe> = {}): HookedProbe {
  return defineProbe({
    name: object,
    summary: "A probe for tests",
    byDefault: { metrics: true, events: true },
    hooks: [{ object, needs: [] }],
    ...part,
  });
}

function surroundings(pinDir: string): ProbeSurroundings {
  const compiled = (_: string, object: string) => Promise.resolve(compile(object));
  return { kernel: readKernel(), pinDir, hostNetns: 0, readObject: compiled };
}

onKernel(
  "a probe that fails to attach in one hook leaves nothing when it stops",
  async (pinDir) => {
    await rounds(cardOf("half"), surroundings(pinDir), ({ outcome }) => {
      strictEqual(outcome.state, "degraded");
      match(
        "because" in outcome ? outcome.because : "",
        /^half_missing is not attached: .*no_such/,
      );
      strictEqual(pinsBelow(pinDir).length, 2);
    });
  },
);

onKernel("a probe whose ring is not there fails, and leaves nothing", async (pinDir) => {
  const event = records({
    record: struct("half_event", { number: u32 }),
    types: ["HALF"],
    occurrence: () => ({
      ...{ type: "HALF", severity: "warning", at: 0n, netns: { inum: 0, cookie: 0n } },
      ...{ attributes: {}, message: "Half" },
    }),
  });
  await rounds(cardOf("half", { records: event }), surroundings(pinDir), ({ outcome }) => {
    strictEqual(outcome.state, "failed");
    match("because" in outcome ? outcome.because : "", /maps\/events/);
    deepStrictEqual(pinsBelow(pinDir), []);
  });
});

onKernel("a probe that loses its ring's pin is read on, and leaves nothing", async (pinDir) => {
  const card = (await discoverProbes()).find(({ name }) => name === "tcpreset");
  if (card?.hooks === undefined) throw new Error('Cannot find the probe "tcpreset"');
  await rounds(card, { ...surroundings(pinDir), readObject }, (probe) => {
    strictEqual(probe.outcome.state, "working");
    for (const pin of pinsBelow(pinDir)) if (pin.endsWith("/maps/events")) Deno.removeSync(pin);
    probe.drain(nothing);
    strictEqual(probe.kernelCounts()?.ringFull, 0);
  });
});

onKernel("a probe with a full map leaves nothing when it stops", async (pinDir) => {
  await rounds(cardOf("tables"), surroundings(pinDir), (probe) => {
    const pin = (end: string) => pinsBelow(pinDir).find((path) => path.endsWith(end)) ?? "";
    using order = new PinnedMap(pin("/maps/order"));
    order.update(buffer(4), new Uint8Array(new Uint32Array([0, 211]).buffer));
    const program = openPin(pin("/progs/add"));
    bpf(BPF.PROG_TEST_RUN, new Attributes(80).u32(0, program), "fill the tables");
    close(program);
    const full = probe.occupancy().find(({ map }) => map === "refusing");
    deepStrictEqual(full, { map: "refusing", entries: 97, entriesMax: 97, refusals: 114 });
  });
});

const GUEST: Owner = { key: "shop/cart", namespace: "shop", pod: "cart" };
const CGROUP = 7_013n;
/** That no namespace of this kernel has. */
const COOKIE = 2n ** 62n;

/** An entry of the probe `flow` in the host's namespace: its key, and its value. */
function flowOf(packets: number, last = 0) {
  const key = new DataView(buffer(48).buffer);
  key.setBigUint64(0, COOKIE, true);
  key.setUint32(8, 0xf0000058, true);
  key.setBigUint64(16, CGROUP, true);
  key.setUint16(38, last);
  key.setUint8(44, 1);
  key.setUint8(45, 17);
  const seen = 2n ** 62n;
  const value = new BigUint64Array([BigInt(packets), 0n, seen]);
  return [new Uint8Array(key.buffer), new Uint8Array(value.buffer)] as const;
}

onKernel(
  "what a pod of the host's network counts is its own, while it is there",
  async (pinDir) => {
    const card = (await discoverProbes()).find(({ name }) => name === "flow");
    if (card?.hooks === undefined) throw new Error('Cannot find the probe "flow"');
    const probe = await RunningProbe.start(card, ON, { ...surroundings(pinDir), readObject });
    const registry = new Registry();
    const pin = pinsBelow(pinDir).find((path) => path.endsWith("/maps/flows")) ?? "";
    const count = (number: number) => {
      using flows = new PinnedMap(pin);
      flows.update(...flowOf(number));
    };
    /** What the host and the guest have, while the cgroup is known as the guest's or not. */
    const packets = (isKnown: boolean) => {
      const collection = registry.begin();
      probe.addTo(collection, {
        ofNetns: ({ cookie }) => cookie === COOKIE ? HOST : undefined,
        ofCgroup: (id) => isKnown && id === CGROUP ? GUEST : undefined,
        ofProcess: () => undefined,
        ofAddress: () => undefined,
        unknown: { key: "unknown", namespace: "unknown", pod: "" },
      });
      const found = { host: 0, guest: 0 };
      collection.forEach("flow_packets_total", ({ key }, _labels, value) => {
        if (key === HOST.key) found.host += value;
        if (key === GUEST.key) found.guest += value;
      });
      return found;
    };
    count(11);
    deepStrictEqual(packets(false), { host: 11, guest: 0 });
    // What the entry has when the cgroup's pod is found was the host's; it begins anew after that.
    packets(true);
    count(13);
    deepStrictEqual(packets(true), { host: 11, guest: 13 });
    count(17);
    deepStrictEqual(packets(true), { host: 11, guest: 17 });
    registry.keepOnly(new Set([HOST.key]));
    // The pod has gone, and takes along what it had.
    deepStrictEqual(packets(false), { host: 11, guest: 0 });
    count(19);
    deepStrictEqual(packets(false), { host: 30, guest: 0 });
    deepStrictEqual((await probe.stop(nothing)).left, []);
  },
);

onKernel("entries that the kernel has pushed out of a map are forgotten", async (pinDir) => {
  const card = (await discoverProbes()).find(({ name }) => name === "flow");
  if (card?.hooks === undefined) throw new Error('Cannot find the probe "flow"');
  const probe = await RunningProbe.start(card, ON, { ...surroundings(pinDir), readObject });
  const registry = new Registry();
  const pin = pinsBelow(pinDir).find((path) => path.endsWith("/maps/flows")) ?? "";
  const look = () => {
    const collection = registry.begin();
    probe.addTo(collection, {
      ofNetns: () => HOST,
      ofCgroup: () => undefined,
      ofProcess: () => undefined,
      ofAddress: () => undefined,
      unknown: { key: "unknown", namespace: "unknown", pod: "" },
    });
  };
  {
    using flows = new PinnedMap(pin);
    for (let index = 0; index < 2_003; index++) flows.update(...flowOf(1, index));
    look();
    strictEqual(probe.remembered >= 2_003, true);
    for (let index = 1; index < 2_003; index++) flows.delete(flowOf(1, index)[0]);
    look();
    look();
  }
  // What else this machine sends is there, too.
  strictEqual(probe.remembered < 1_000, true, `${probe.remembered} are remembered`);
  deepStrictEqual((await probe.stop(nothing)).left, []);
});
