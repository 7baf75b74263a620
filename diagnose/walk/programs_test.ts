import assert from "node:assert/strict";
import { capture } from "../../tests/snapshot_captures.ts";
import { type MadeNamespace, madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { findingsOf } from "../report/finding.ts";
import { parseFilters } from "../snapshot/parse.ts";
import { diagnose } from "./diagnosis.ts";

/** What becomes of a connection from `a` to `b`'s device with these programs and filters. */
function through(more: NonNullable<MadeNamespace["more"]>, from = "10.0.0.1", port = 80) {
  const snapshot = madeSnapshot({
    a: {
      devices: {
        eth0: { kind: "veth", to: ["b", "v1"], addresses: ["10.0.0.1/24", "fd00::1/64"] },
      },
    },
    b: {
      devices: {
        v1: { kind: "veth", to: ["a", "eth0"], addresses: ["10.0.0.2/24", "fd00::2/64"] },
      },
      listeners: ["tcp * 80", "tcp * 81"],
      more,
    },
  });
  const [source, destination] = [from, from.replace(/1$/, "2")].map(parseAddress);
  assert.ok(source !== undefined && destination !== undefined);
  const diagnosis = diagnose([snapshot], { source, destination, protocol: "tcp", port });
  const [first] = findingsOf(diagnosis);
  const assumptions = diagnosis.ways.flatMap(({ request, answers }) =>
    [request, ...answers].flatMap(({ trail }) => trail.assumptions)
  );
  return { short: `${diagnosis.verdict} ${first?.id ?? ""}`.trim(), first, assumptions };
}

Deno.test("a program on the way is taken to let packets pass, and named", () => {
  const { short, assumptions } = through({
    programs: [
      { dev: "v1", hook: "clsact/egress", name: "shape", id: 4 },
      { dev: "v1", hook: "tcx/ingress", name: "count", id: 3 },
      { dev: "v1", hook: "xdp", id: 2 },
      { dev: "v2", hook: "tcx/ingress", name: "elsewhere", id: 5 },
    ],
  });
  assert.equal(short, "reachable");
  assert.deepEqual(assumptions, [
    'the program "number 2" (xdp of "v1") lets it pass',
    'the program "count" (tcx/ingress of "v1") lets it pass',
    'the program "shape" (clsact/egress of "v1") lets it pass',
  ]);
});

Deno.test("a data plane's program makes the way unknown, and says which", () => {
  const { short, first } = through({
    programs: [{ dev: "v1", hook: "tcx/ingress", name: "cil_from_container", id: 3 }],
  });
  assert.equal(short, "unknown program-unknown");
  assert.match(first?.message ?? "", /^the program "cil_from_container" \(tcx\/ingress of "v1"\)/);
  assert.equal(first?.where.device, "v1");
});

Deno.test("filters that drop are decided where they are plain", () => {
  const ingress = parseFilters("v1", "ingress", capture("filters-ingress"));
  const at = (pref: number) => ({ filters: ingress.filter((each) => each.pref === pref) });
  // flower: TCP to port 80 of 10.0.0.0/8 is dropped.
  assert.equal(through(at(3)).short, "blocked filter-drop");
  assert.equal(through(at(3), "10.0.0.1", 81).short, "reachable");
  assert.equal(through(at(3), "fd00::1").short, "reachable");
  // matchall drops what flower, before it, does not let pass: IPv6 from fd00::/16.
  assert.equal(through(at(9)).short, "blocked filter-drop");
  assert.equal(through({ filters: ingress }, "10.0.0.1", 81).short, "blocked filter-drop");
  assert.equal(through({ filters: ingress }, "fd00::1", 81).short, "reachable");
});

Deno.test("filters of other chains are not asked, and marks and masks are unknown", () => {
  const drop = { kind: "gact", control_action: { type: "drop" } };
  const filter = (more: object, actions: readonly object[] = [drop], keys: object = {}) => ({
    filters: [{
      ...{ dev: "v1", direction: "ingress" as const, kind: "flower", protocol: "ip", pref: 1 },
      ...{ options: { keys, actions }, ...more },
    }],
  });
  assert.equal(through(filter({ chain: 0 })).short, "blocked filter-drop");
  assert.equal(through(filter({ chain: 3 })).short, "reachable");
  const edit = (more: object) => [{ kind: "skbedit", control_action: { type: "pipe" }, ...more }];
  assert.equal(through(filter({}, edit({ priority: "1:1" }))).short, "reachable");
  assert.equal(through(filter({}, edit({ mark: 5 }))).short, "unknown program-unknown");
  assert.equal(through(filter({}, edit({ ptype: "host" }))).short, "unknown program-unknown");
  const port = (value: unknown) => through(filter({}, [drop], { dst_port: value })).short;
  assert.equal(port("80"), "blocked filter-drop");
  assert.equal(port("81"), "reachable");
  assert.equal(port("80/0xfff0"), "unknown program-unknown");
});

Deno.test("filters that are not plain, or redirect, are unknown; those that copy pass", () => {
  const egress = parseFilters("v1", "egress", capture("filters-egress"));
  const at = (pref: number) => ({ filters: egress.filter((each) => each.pref === pref) });
  assert.equal(through(at(2)).short, "unknown program-unknown");
  assert.equal(through(at(5)).short, "reachable");
  assert.equal(through(at(6)).short, "unknown program-unknown");
});
