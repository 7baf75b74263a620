/**
 * What the running agent lacks on this node, for `/status`: the checks of `podskoop doctor` that
 * say what works, without those that ask whether an agent could be started.
 *
 * @module
 */
import type { Check, Places } from "./commands/doctor/finding.ts";
import {
  btf,
  capabilities,
  hostPid,
  kptrRestrict,
  lockdown,
  tracefs,
} from "./commands/doctor/kernel_checks.ts";
import { type Node, thisNode } from "./commands/doctor/node.ts";
import { bpffs } from "./commands/doctor/place_checks.ts";
import { bpftool, conntrack, iproute2 } from "./commands/doctor/tool_checks.ts";
import type { Status } from "./surface.ts";

const CHECKS: readonly Check[] = [
  ...[btf, lockdown, capabilities, hostPid, bpffs, bpftool, tracefs, kptrRestrict],
  ...[iproute2, conntrack],
];

/**
 * What is missing, what that disables, and what to do about it. A check that breaks says so itself.
 */
export async function findMissing(
  places: Places,
  node: Node = thisNode,
): Promise<Status["missing"]> {
  const missing: { what: string; disables: string; remedy: string }[] = [];
  for (const check of CHECKS) {
    try {
      for (const { name, state, found, disables, remedy } of [await check(node, places)].flat()) {
        if (state === "ok") continue;
        missing.push({ what: `${name}: ${found}`, disables: disables ?? "", remedy: remedy ?? "" });
      }
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      missing.push({ what: `${check.name}: ${because}`, disables: "this check", remedy: "" });
    }
  }
  return missing;
}
