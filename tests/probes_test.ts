/** The contract that every folder in probes/ keeps. Lengths of files are tidy_test.ts's. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type Layout, layoutOf } from "@bpf/btf.ts";
import { contentsOf } from "@bpf/elf.ts";
import { discoverProbes, readObject } from "@agent/discover.ts";
import type { Alias } from "@agent/metric.ts";
import { NetlinkRecords, recordLayout } from "@agent/netlink_record.ts";
import type { HookedProbe, HookSet, Need, NetlinkProbe, Probe, Totals } from "@agent/probe.ts";
import { type Codec, decoder, type Fields, netns, type Schema, tgid } from "@agent/schema.ts";
import { REMOTE_LABELS } from "@agent/remote.ts";
import { SERIES_MAX } from "@agent/series.ts";
import { ROOT } from "./tree.ts";

const RANDOM_RECORDS = 10_000;
const SEED = 20_261;
/** The maps of bpf/include/probe.h, and those in which a kernel side notes what is under way. */
const OF_EVENTS = ["events", "limits", "losses"];
const PRIVATE = [
  ...["answering", "connecting", "order", "ordered", "packets", "running", "seen", "waiting"],
  ...["handing", "moving", "queued", "segments", "sweeps"],
  ...["tcp_sockets", "tcp_zeros", "udp_sockets", "udp_zeros"],
];
/** No label holds what a node has thousands of. */
const UNBOUNDED = /address|port|^pid$|comm|path|inum|cookie/;
/** `flow` tells ports apart on request; its own bound holds. */
const ON_REQUEST = ["port"];
const REMOTE: readonly string[] = REMOTE_LABELS;

const probes = await discoverProbes();

function everyProbe(says: string, check: (probe: Probe) => void | Promise<void>): void {
  for (const probe of probes) Deno.test(`${probe.name} ${says}`, () => check(probe));
}

const hooked = probes.filter((probe): probe is HookedProbe => probe.hooks !== undefined);
const listening = probes.filter((probe): probe is NetlinkProbe => probe.netlink !== undefined);

function everyHooked(says: string, check: (probe: HookedProbe) => void | Promise<void>): void {
  for (const probe of hooked) Deno.test(`${probe.name} ${says}`, () => check(probe));
}

function everyListening(says: string, check: (probe: NetlinkProbe) => void): void {
  for (const probe of listening) Deno.test(`${probe.name} ${says}`, () => check(probe));
}

async function objectsOf(probe: HookedProbe): Promise<[set: HookSet, bytes: Uint8Array][]> {
  return await Promise.all(
    probe.hooks.map(async (set) => [set, await readObject(probe.name, set.object)] as const),
  ) as [HookSet, Uint8Array][];
}

function schemasOf(probe: Probe): Schema<Fields>[] {
  const totals: readonly Totals[] = probe.totals ?? [];
  const records = probe.records === undefined ? [] : [probe.records.record];
  return [...totals.flatMap(({ key, value }) => [key, value]), ...records];
}

/** What a codec can say, when that is a closed list. */
function wordsOf(codec: Codec<unknown> | undefined): readonly string[] | undefined {
  if (codec === undefined || !codec.ctypes.includes("__u8")) return undefined;
  const view = new DataView(new ArrayBuffer(1));
  const words = new Set<string>();
  for (let byte = 0; byte < 256; byte++) {
    view.setUint8(0, byte);
    const word = codec.read(view, 0);
    if (typeof word !== "string") return undefined;
    words.add(word);
  }
  words.delete("unknown");
  return [...words];
}

everyProbe("is named like its folder", async (probe) => {
  match(probe.name, /^[a-z][a-z0-9]*$/);
  await Deno.stat(new URL(`probes/${probe.name}/${probe.name}.ts`, ROOT));
  match(probe.summary, /^[A-Z].*[^.]$/);
});

everyHooked("names its objects after it", async (probe) => {
  equal(probe.hooks[0].object, probe.name);
  for (const { object } of probe.hooks) {
    ok(object === probe.name || object.startsWith(`${probe.name}_`), object);
    await Deno.stat(new URL(`probes/${probe.name}/${object}.bpf.c`, ROOT));
  }
  equal(new Set(probe.hooks.map(({ object }) => object)).size, probe.hooks.length);
});

everyHooked("has a file for each of its objects, and an object for each file", async (probe) => {
  const sources: string[] = [];
  for await (const { name } of Deno.readDir(new URL(`probes/${probe.name}/`, ROOT))) {
    if (name.endsWith(".bpf.c")) sources.push(name.slice(0, -".bpf.c".length));
  }
  deepEqual(sources.sort(), probe.hooks.map(({ object }) => object).sort());
});

everyHooked("reads its structs as every one of its objects lays them out", async (probe) => {
  for (const [set, bytes] of await objectsOf(probe)) {
    for (const schema of schemasOf(probe)) {
      match(schema.struct, new RegExp(`^${probe.name}_`));
      const layout = layoutOf(bytes, schema.struct);
      decoder(schema, layout, () => new Map());
      expectNoHiddenPadding(layout);
      const first = layoutOf(await readObject(probe.name, probe.name), schema.struct);
      deepEqual(layout, first, `${schema.struct} of ${set.object} differs`);
    }
  }
});

function expectNoHiddenPadding({ name, size, members }: Layout): void {
  let end = 0;
  for (const [field, member] of members) {
    equal(member.offset, end, `${name} has hidden padding before ${field}`);
    end += member.size;
  }
  equal(end, size, `${name} has hidden padding at its end`);
}

everyHooked(
  "has the maps that its card names, and the usual ones, in every object",
  async (probe) => {
    const totals = (probe.totals ?? []).map(({ map }) => map);
    const usual = [
      ...(probe.records === undefined ? [] : OF_EVENTS),
      ...(probe.parameters === undefined ? [] : ["parameters"]),
    ];
    for (const [{ object }, bytes] of await objectsOf(probe)) {
      const maps = contentsOf(bytes).maps.filter((map) =>
        !PRIVATE.includes(map.replace(/_uses$/, ""))
      );
      deepEqual([...maps].sort(), [...totals, ...usual].sort(), object);
    }
  },
);

everyHooked("says of each table of what is under way how full it is", async ({ name }) => {
  const folder = new URL(`probes/${name}/`, ROOT);
  for (const { name: file } of Deno.readDirSync(folder)) {
    const text = await Deno.readTextFile(new URL(file, folder));
    const bare = /__uint\(type, BPF_MAP_TYPE_(LRU_)?(PERCPU_)?HASH\)/.exec(text)?.[0];
    equal(bare, undefined, `${file}: declare it by PROBE_TABLE or PROBE_TOTALS`);
  }
});

everyHooked("needs what its programs attach to, no more and no less", async (probe) => {
  for (const [{ object, needs }, bytes] of await objectsOf(probe)) {
    const sections = contentsOf(bytes).programs.map(({ section }) => section);
    const attached = needs.filter((need) => !("function" in need));
    // A kprobe on a function's entry and one on its return are one need.
    const wanted = [...new Set(sections.map(needOf))];
    deepEqual(wanted.sort(), attached.map(nameOf).sort(), object);
  }
});

/** The need that a program's section stands for: `tp_btf/kfree_skb` is `tracepoint kfree_skb`. */
function needOf(section: string): string {
  const [type = "", target = ""] = section.split("/");
  const kinds: Readonly<Record<string, string>> = {
    tp_btf: "tracepoint",
    raw_tp: "tracepoint",
    fentry: "fentry",
    fexit: "fexit",
    kprobe: "kprobe",
    kretprobe: "kprobe",
    iter: "iterator",
    cgroup_skb: "cgroup",
  };
  return `${kinds[type]} ${target}`;
}

function nameOf(need: Need): string {
  if ("tracepoint" in need) return `tracepoint ${need.tracepoint}`;
  if ("fentry" in need) return `fentry ${need.fentry}`;
  if ("cgroup" in need) return `cgroup ${need.cgroup}`;
  if ("fexit" in need) return `fexit ${need.fexit}`;
  if ("function" in need) return `function ${need.function}`;
  return "kprobe" in need ? `kprobe ${need.kprobe}` : `iterator ${need.iterator}`;
}

everyHooked("names iterators that its objects have, each for one map", async (probe) => {
  const named = (probe.totals ?? []).flatMap(({ iterator }) => iterator ?? []);
  equal(new Set(named).size, named.length);
  for (const [, bytes] of await objectsOf(probe)) {
    const iterators = contentsOf(bytes).programs.filter(({ section }) =>
      section.startsWith("iter/")
    );
    deepEqual(iterators.map(({ name }) => name).sort(), named.sort());
  }
});

everyHooked("has each of its parameters in C", async (probe) => {
  if (probe.parameters === undefined) return;
  const bitmaps = Object.keys(probe.bitmaps ?? {});
  for (const [{ object }, bytes] of await objectsOf(probe)) {
    const { members } = layoutOf(bytes, `${probe.name}_parameters`);
    const fields = [...members.keys()].filter((name) => !name.startsWith("pad"));
    const filled = ["ready", "host_netns"].filter((name) => name === "ready" || members.has(name));
    const wanted: string[] = [...Object.keys(probe.parameters), ...bitmaps, ...filled];
    deepEqual(fields.sort(), wanted.sort(), object);
    for (const bitmap of bitmaps) equal(members.get(bitmap)?.ctype, "__u64[4]");
  }
});

everyProbe("says what each of its parameters is, and has a default that it allows", (probe) => {
  for (const [name, parameter] of Object.entries(probe.parameters ?? {})) {
    const { summary, default: value, min, max, words, pattern } = parameter;
    match(summary, /^[A-Z].*[^.]$/, name);
    if (typeof value === "number") {
      ok(min !== undefined && max !== undefined && min <= value && value <= max, name);
    } else if (typeof value === "string") {
      ok(probe.netlink !== undefined, `${name} cannot be told to a BPF program`);
      ok(words !== undefined || pattern !== undefined, name);
    }
  }
});

everyListening("has a bound on events and on what waits, and a flag for each kind", (probe) => {
  const { netlink, parameters = {} } = probe;
  for (const name of ["events_per_second", "buffer_bytes"]) {
    equal(typeof parameters[name]?.default, "number", name);
  }
  for (const { wanted } of netlink.kinds) equal(typeof parameters[wanted]?.default, "boolean");
  const numbers = netlink.kinds.map(({ number }) => number);
  equal(new Set(numbers).size, numbers.length);
});

everyListening("has a path for each field that a message fills, and reads any bytes", (probe) => {
  const { fields, struct } = probe.records.record;
  match(struct, new RegExp(`^${probe.name}_`));
  const filled = ["at", "netns", "kind", ...Object.keys(probe.netlink.paths)];
  deepEqual(filled.sort(), Object.keys(fields).sort());
  const reader = new NetlinkRecords(probe);
  const random = randomBytes(SEED);
  let messages = 0;
  for (let count = 0; count < RANDOM_RECORDS; count++) {
    const bytes = new Uint8Array(160).map(() => random() % 40);
    const kind = probe.netlink.kinds[count % probe.netlink.kinds.length];
    const view = new DataView(bytes.buffer);
    view.setUint32(0, bytes.length, true);
    view.setUint16(4, kind?.type ?? 0, true);
    view.setUint16(6, kind?.flags ?? 0, true);
    reader.read(bytes, bytes.length, { inum: 1, cookie: 1n }, 1n, ({ record }) => {
      messages++;
      expectOccurrence(probe, record);
    });
  }
  equal(messages, RANDOM_RECORDS);
});

everyProbe("says of each metric what it is, in its name and its help", (probe) => {
  for (const totals of probe.totals ?? []) {
    for (const [name, metric] of Object.entries((totals as Totals).metrics)) {
      match(name, new RegExp(`^${probe.name}_[a-z0-9_]+$`));
      equal(name.endsWith("_total"), metric.type === "counter", `${name} is a ${metric.type}`);
      const unit = /_(seconds|bytes|ratio)(?:_total)?$/.exec(name)?.[1];
      equal(metric.unit, unit, `${name} has the unit in its name and on its card`);
      match(metric.help, /^[A-Z][^\n]*[^.\n]$/, name);
      ok(metric.of in totals.value.fields, `${name} is of "${metric.of}"`);
    }
  }
});

everyProbe("has bounded labels only, and room for all that they can say", (probe) => {
  for (const totals of probe.totals ?? []) {
    const fields: Fields = totals.key.fields;
    for (const [name, metric] of Object.entries((totals as Totals).metrics)) {
      let product = 1;
      for (const label of metric.labels ?? []) {
        const isRemote = totals.remote !== undefined && REMOTE.includes(label);
        if (isRemote) continue;
        const isAsked = probe.name === "flow" && ON_REQUEST.includes(label);
        ok(isAsked || !UNBOUNDED.test(label), `${name} has the label "${label}"`);
        ok(fields[label] !== undefined && fields[label] !== netns && fields[label] !== tgid, label);
        const words = wordsOf(fields[label]);
        const when = metric.when?.[label];
        product *= when?.length ?? words?.length ?? 1;
      }
      const room = metric.seriesMax ?? 1;
      ok(room <= SERIES_MAX && room >= product, `${name} has room for ${room} of ${product}`);
      for (const [field, wanted] of Object.entries(metric.when ?? {})) {
        const words = wordsOf(fields[field]) ?? wanted ?? [];
        for (const word of wanted ?? []) ok(words.includes(word), `${name}: ${field}="${word}"`);
      }
    }
  }
});

Deno.test("no two probes give a metric, or a predecessor's, of the same name", () => {
  const names: string[] = [];
  for (const totals of probes.flatMap(({ totals }) => totals ?? [])) {
    for (const [name, { alias, labels }] of Object.entries((totals as Totals).metrics)) {
      names.push(name);
      for (const { kubeskoop, inspector, where } of aliasesOf(alias)) {
        names.push(...(kubeskoop ?? []).map((each) => `kubeskoop_${each}`));
        names.push(...(inspector ?? []).map((each) => `inspector_pod_${each}`));
        for (const [label, word] of Object.entries(where ?? {})) {
          ok(labels?.includes(label), `${name} has no label "${label}"`);
          ok(wordsOf(totals.key.fields[label])?.includes(word) ?? true, `${label}="${word}"`);
        }
      }
    }
  }
  equal(new Set(names).size, names.length, names.sort().join(" "));
});

function aliasesOf(alias: Alias | readonly Alias[] | undefined): readonly Alias[] {
  return alias === undefined ? [] : [alias].flat();
}

everyProbe(
  "decodes any bytes, and words any record in a line of a type it names",
  async (probe) => {
    const random = randomBytes(SEED);
    for (const schema of schemasOf(probe)) {
      const layout = probe.netlink === undefined
        ? layoutOf(await readObject(probe.name, probe.name), schema.struct)
        : recordLayout(schema);
      const decode = decoder(schema, layout, () => new Map([[1, "WORD_ONE"]]));
      for (let count = 0; count < RANDOM_RECORDS + 2; count++) {
        const bytes = new Uint8Array(layout.size).map(() => count === 1 ? 255 : count && random());
        const value = decode(new DataView(bytes.buffer), 0, bytes.length);
        if (schema === probe.records?.record) expectOccurrence(probe, value);
      }
    }
  },
);

function expectOccurrence(probe: Probe, record: Readonly<Record<string, unknown>>): void {
  const { records } = probe;
  if (records === undefined) throw new Error(`${probe.name} has no records`);
  const occurrence = records.occurrence(record);
  deepEqual(records.occurrence(record), occurrence, "the same record says the same");
  ok(records.types.includes(occurrence.type), occurrence.type);
  match(occurrence.type, /^(?:[A-Z][A-Z0-9_]*|Conntrack[A-Z][a-z]+)$/);
  match(occurrence.message, /^[A-Z][^\n]*[^.\n]$/);
  for (const name of Object.keys(occurrence.attributes ?? {})) match(name, /^[a-z][a-z0-9_]*$/);
  for (const value of Object.values(occurrence)) ok(value !== undefined && value !== null);
}

everyProbe("takes halves by default that it has", (probe) => {
  ok((probe.totals ?? []).length > 0 || !probe.byDefault.metrics);
  ok(probe.records !== undefined || !probe.byDefault.events);
});

/** xorshift32: the same bytes each time. */
function randomBytes(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 255;
  };
}
