import { deepStrictEqual, match } from "node:assert/strict";
import { type Node, thisNode } from "./commands/doctor/node.ts";
import { findMissing } from "./missing.ts";

const PLACES = {
  listen: { hostname: "127.0.0.1", port: 9102 },
  socket: "/run/podskoop/podskoop.sock",
  dataDir: "/var/lib/podskoop",
  pinDir: "/sys/fs/bpf/podskoop",
};

Deno.test("what is missing says what it disables and what to install", async () => {
  const node: Node = { ...thisNode, run: () => Promise.resolve(undefined) };
  const missing = await findMissing(PLACES, node);
  const bpftool = missing.find(({ what }) => what.startsWith("bpftool"));
  match(bpftool?.disables ?? "", /probe/);
  match(bpftool?.remedy ?? "", /bpftool/);
});

Deno.test("a check that breaks says so in its place, and the others are made", async () => {
  const node: Node = {
    ...thisNode,
    run: () => Promise.reject(new Error("EMFILE")),
  };
  const missing = await findMissing(PLACES, node);
  const broken = missing.filter(({ what }) => what.includes("EMFILE")).map(({ what }) => what);
  deepStrictEqual(broken.length >= 2, true, broken.join());
});
