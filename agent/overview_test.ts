import { strictEqual } from "node:assert/strict";
import { calledAs, hints, table } from "./overview.ts";
import type { PodView, Status } from "./surface.ts";

const STATUS: Pick<Status, "node" | "inuse_probes"> = {
  node: "n1",
  inuse_probes: {
    event: [{ name: "packetloss", state: "Running" }],
    metrics: [{ name: "packetloss", state: "Running" }, { name: "io", state: "Degraded" }],
  },
};

function pod(over: Partial<PodView>): PodView {
  return {
    kind: "pod",
    namespace: "shop",
    name: "cart",
    netns: 1,
    netnsCookie: "1",
    addresses: [],
    pids: [],
    containerIds: [],
    ...over,
  };
}

function shown(...pods: PodView[]): string {
  const status: Status = {
    ...STATUS,
    available_probes: { event: [], metrics: [] },
    version: "1",
    kernel: { release: "6.18", btf: true },
    started: "",
    namespaces: 1,
    pods: 1,
    sources: [],
    sinks: [],
    store: { name: "store", state: "Running", events: 0, bytes: 0 },
    config: { origin: "defaults" },
    missing: [],
  };
  return table({ pods: () => pods, status: () => status });
}

Deno.test("the first table fits 80 columns, whatever the names", () => {
  const text = shown(
    pod({ name: "x".repeat(300), addresses: ["fd00:1234:5678:9abc:def0:1234:5678:9abc"] }),
  );
  for (const line of text.split("\n")) strictEqual(line.length <= 80, true, line);
});

Deno.test("the first table shows addresses that others can reach, and counts the rest", () => {
  const text = shown(pod({ addresses: ["127.0.0.1", "::1", "10.0.0.7", "fd00::7", "fe80::1"] }));
  strictEqual(text.includes("10.0.0.7 +1"), true, text);
});

Deno.test("the first table names the host by its node, and leaves out what is gone", () => {
  const text = shown(
    pod({ kind: "host", namespace: "", name: "" }),
    pod({ name: "old", goneAt: "t" }),
  );
  strictEqual(text.includes("n1"), true);
  strictEqual(text.includes("old"), false);
  strictEqual(text.includes("1 of 2 probes and collectors run; io Degraded"), true, text);
});

Deno.test("the hints are lines that work here: this program's path, and the agent's socket", () => {
  const usual = hints("http://h:1/", "/run/podskoop/podskoop.sock", "dist/podskoop");
  strictEqual(usual.includes("Events    dist/podskoop events -f\n"), true, usual);
  strictEqual(usual.includes("Metrics   http://h:1/metrics\n"), true, usual);
  const other = hints("http://h:1/", "/tmp/2.sock", "podskoop");
  strictEqual(other.includes("Live      podskoop top --agent unix:/tmp/2.sock\n"), true, other);
});

Deno.test("the program is called by its name only where the shell finds it by that", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  const program = `${folder}/dist/podskoop`;
  await Deno.mkdir(`${folder}/dist`);
  await Deno.mkdir(`${folder}/bin`);
  await Deno.writeTextFile(program, "");
  strictEqual(calledAs(program, "/nowhere", folder), "dist/podskoop");
  strictEqual(calledAs(program, "/nowhere", "/"), program.slice(1));
  strictEqual(calledAs(program, "/nowhere", "/nowhere"), program);
  strictEqual(calledAs("/opt/deno", `${folder}/bin`, folder), "podskoop");
  await Deno.writeTextFile(`${folder}/bin/podskoop`, "");
  strictEqual(calledAs(program, `${folder}/bin`, folder), "dist/podskoop");
  await Deno.remove(`${folder}/bin/podskoop`);
  await Deno.symlink(program, `${folder}/bin/podskoop`);
  strictEqual(calledAs(program, `/nowhere:${folder}/bin`, folder), "podskoop");
  await Deno.remove(folder, { recursive: true });
});
