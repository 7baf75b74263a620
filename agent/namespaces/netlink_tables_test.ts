import assert from "node:assert/strict";
import { ENOENT, EPERM, readText } from "./libc.ts";
import { isTable, readTable } from "./netlink_tables.ts";

function textOf(file: string): string | number {
  const table = readTable(file);
  return typeof table === "number" ? table : new TextDecoder().decode(table);
}

Deno.test("the table of queueing disciplines has the devices of this namespace", () => {
  const text = textOf("netlink/qdiscs");
  assert.ok(typeof text === "string");
  const [heading, ...rows] = text.trimEnd().split("\n");
  assert.equal(heading?.split(" ").length, 11);
  const devices = new Set(
    Deno.readTextFileSync("/proc/net/dev").split("\n").slice(2).map((line) =>
      line.slice(0, line.lastIndexOf(":")).trim()
    ),
  );
  for (const row of rows) {
    const [device = "", ...words] = row.split(" ");
    assert.ok(devices.has(device), row);
    assert.equal(words.length, 10, row);
  }
});

Deno.test("the table of tracked connections has sysctl's limit, or the kernel has none", () => {
  const text = textOf("netlink/conntrack");
  if (typeof text === "number") {
    assert.ok(text === -ENOENT || text === -EPERM, String(text));
    return;
  }
  const most = Deno.readTextFileSync("/proc/sys/net/netfilter/nf_conntrack_max").trim();
  assert.match(text, new RegExp(`^entries \\d+\nmaxentries ${most}\n`));
});

Deno.test("the table of virtual servers is empty without any, and not there without IPVS", () => {
  const listed = readText("/proc/thread-self/net/ip_vs");
  const text = textOf("netlink/ipvs");
  if (typeof listed === "number") assert.equal(text, listed);
  else if (listed.trimEnd().split("\n").length === 3) assert.equal(text, "");
  else assert.match(String(text), /^Prot LocalAddress:Port Conns .*\n(TCP|UDP|SCTP|FWM) /);
});

Deno.test("a table that nobody has written is not there", () => {
  assert.equal(readTable("netlink/nothing"), -ENOENT);
  assert.equal(isTable("netlink/nothing"), true);
  assert.equal(isTable("net/dev"), false);
});
