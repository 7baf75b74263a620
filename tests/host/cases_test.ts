/**
 * The predecessor's cases, end to end: what the walk says of each, and that the kernel agrees.
 *
 * Needs root.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Network } from "../../diagnose/walk/network.ts";
import { findingsOf } from "../../diagnose/report/finding.ts";
import { askedIn, CASES, listeningIn, PLACES, scriptOf } from "../oracle/cases.ts";
import { judged, Prober, realities, shell, taken } from "../oracle/oracle.ts";

/** Long enough for ARP to give up, or nearly. */
const WAIT_MILLISECONDS = 2_000;

Deno.test("the walk answers the predecessor's cases as the kernel does", async () => {
  await using prober = new Prober();
  const own = (at: number) => `k${Deno.pid.toString(36)}${at}`;
  const all = CASES.map((each, at) => ({
    ...each,
    own: own(at),
    packet: askedIn(each, own(at), at),
  }));
  try {
    for (const each of all) await shell(scriptOf(each, each.own));
    await prober.order({ listen: all.flatMap((each) => listeningIn(each, each.own)) });
    const snapshots = new Map<string, Network>();
    for (const { name, own, alone } of all) {
      const places = PLACES.filter((place) => alone !== true || place !== "s");
      snapshots.set(name, new Network([await taken(places.map((place) => `${own}${place}`))]));
    }
    const real = await realities(prober, all.map(({ packet }) => packet), WAIT_MILLISECONDS);
    for (const { name, says, packet, ways = 1, own } of all) {
      const network = snapshots.get(name);
      const reality = real.get(packet.id);
      assert.ok(network !== undefined && reality !== undefined);
      const { said, differs } = judged(network, packet, reality);
      const first = findingsOf(said).find(({ severity }) => severity !== "hint");
      const place = first?.where.namespace.replace(`netns ${own}`, "") ?? "";
      const id = says.endsWith("*") ? "*" : first?.id;
      const short = first === undefined ? said.verdict : `${said.verdict} ${place} ${id}`;
      assert.equal(short, says, `${name}: ${first?.message}`);
      assert.equal(said.ways.length, ways, name);
      assert.equal(differs, undefined, `${name}: was ${reality.outcome}`);
    }
  } finally {
    await prober.order({ close: true });
    const names = all.flatMap(({ own }) => PLACES.map((place) => `${own}${place}`));
    await shell(names.map((name) => `ip netns delete ${name} 2>/dev/null || true`).join("\n"));
  }
});
