/**
 * Which source address the walk chooses, beside `ip route get`: random devices with many addresses.
 *
 * Needs root. `ORACLE_SEED=N` repeats a failure.
 *
 * @module
 */
import assert from "node:assert/strict";
import { formatAddress, parseAddress } from "../../diagnose/packet/address.ts";
import { Network } from "../../diagnose/walk/network.ts";
import { preferredSource } from "../../diagnose/walk/walker.ts";
import { Dice } from "../oracle/topology.ts";
import { taken } from "../oracle/oracle.ts";
import { run } from "./lab.ts";

const SEED = Number(Deno.env.get("ORACLE_SEED") ?? 4_000);
const NETWORKS = 7;
const DESTINATIONS = 61;
const DEVICES = ["d0", "d1", "d2"] as const;

function fourOf(dice: Dice): string {
  return `10.${dice.below(3)}.${dice.below(3)}.${1 + dice.below(250)}`;
}

const SIX = [
  "fd00:1",
  "fd00:2",
  "fd01",
  "2001:db8",
  "2002:a00:1",
  "fec0:1",
  "3ffe:1",
  "fe80",
  "2001:10",
  "2600:1",
  "2400:1",
];

function sixOf(dice: Dice): string {
  const start = dice.of(SIX);
  // Else there would be no address that is nobody's own.
  return `${start}${start === "fe80" ? "" : `:${dice.below(3)}`}::${1 + dice.below(4_000)}`;
}

function linesOf(dice: Dice): readonly string[] {
  const lines: string[] = [];
  for (const device of DEVICES) {
    lines.push(`link add ${device} type veth peer name p${device}`);
    lines.push(`link set p${device} up`, `link set ${device} up`);
    for (let at = dice.below(5); at > 0; at--) {
      const scope = dice.of(["", "", " scope link", " scope host"]);
      lines.push(`address add ${fourOf(dice)}/${dice.of([8, 16, 24, 32])} dev ${device}${scope}`);
    }
    for (let at = dice.below(6); at > 0; at--) {
      const life = dice.chance(0.25) ? " preferred_lft 0" : "";
      const length = dice.of([32, 64, 64, 128]);
      lines.push(`address add ${sixOf(dice)}/${length} dev ${device} nodad${life}`);
    }
  }
  for (const family of [4, 6]) {
    const any = family === 4 ? fourOf : sixOf;
    for (let at = 3 + dice.below(5); at > 0; at--) {
      const [to, gateway] = [any(dice), any(dice)];
      const length = family === 4 ? dice.of([16, 24, 32]) : dice.of([32, 64, 128]);
      const way = dice.of([
        `dev ${dice.of(DEVICES)}`,
        `via ${gateway} dev ${dice.of(DEVICES)} onlink`,
      ]);
      lines.push(`route add ${to}/${length} ${way}`);
    }
    lines.push(`-${family} route add default dev ${dice.of(DEVICES)}`);
  }
  return lines;
}

Deno.test("the walk sends from the address that the kernel would send from", async () => {
  let compared = 0;
  for (let seed = SEED; seed < SEED + NETWORKS; seed++) {
    const dice = new Dice(seed);
    const name = `src${Deno.pid.toString(36)}`;
    await run("ip", "netns", "add", name);
    try {
      // Addresses that are being probed for change while one looks.
      const dad = "net.ipv6.conf.default.accept_dad=0";
      await run("ip", "netns", "exec", name, "sysctl", "-qw", dad);
      // What is no network's own address, or is there already, is refused.
      for (const line of ["link set lo up", ...linesOf(dice)]) {
        await run("sh", "-c", 'ip -n "$1" $2 2>/dev/null || true', "sh", name, line);
      }
      const [namespace] = new Network([await taken([name])]).namespaces;
      assert.ok(namespace !== undefined);
      for (let at = 0; at < DESTINATIONS; at++) {
        const text = (at % 2 === 0 ? fourOf : sixOf)(dice);
        const destination = parseAddress(text);
        assert.ok(destination !== undefined);
        const ours = preferredSource(namespace, destination, 17);
        const { stdout, success } = await new Deno.Command("ip", {
          args: ["-n", name, "-j", "route", "get", text],
          stderr: "null",
        }).output();
        const [route] = success ? JSON.parse(new TextDecoder().decode(stdout)) : [];
        const theirs = route?.prefsrc;
        const where = `ORACLE_SEED=${seed}: to ${text}`;
        // Without an address the kernel sends from 0.0.0.0, or not at all.
        const said = ours === undefined ? undefined : formatAddress(ours);
        assert.equal(said, theirs === "0.0.0.0" || theirs === "::" ? undefined : theirs, where);
        if (theirs !== undefined) compared++;
      }
    } finally {
      await run("ip", "netns", "delete", name);
    }
  }
  assert.ok(compared > NETWORKS * DESTINATIONS / 2, `${compared}`);
});
