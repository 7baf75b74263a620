/**
 * A kernel that publishes no BTF, as far as the agent sees: an empty directory covers the kernel's
 * own. With a copy in a file, the hooks that need no more than that count as exactly as ever.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { Status, UnitStatus } from "../../agent/surface.ts";
import { AgentUnderTest, eventually, expectSum, folder, Lab } from "./lab.ts";

const PATIENCE_MS = 15_000;
const HIDE = "mkdir $DIR/empty && mount --bind $DIR/empty /sys/kernel/btf";
const PROBES = ["packetloss", "tcpreset", "tcpretrans", "netiftxlat", "fd"] as const;
const CONFIG = "events: {foldSeconds: 1}\nprobes:\n" +
  PROBES.map((name) => `  ${name}: true\n`).join("");

async function metricsUnits(agent: AgentUnderTest): Promise<ReadonlyMap<string, UnitStatus>> {
  const { inuse_probes } = await agent.json<Status>("/status");
  return new Map(inuse_probes.metrics.map((unit) => [unit.name, unit]));
}

Deno.test("a copy of the kernel's BTF is enough for hooks that are not typed by it", async () => {
  const copies = await folder();
  try {
    // As in a directory with copies for many kernels.
    await Deno.copyFile("/sys/kernel/btf/vmlinux", `${copies}/${Deno.osRelease()}.btf`);
    await Deno.writeTextFile(`${copies}/5.4.0-1.btf`, "another kernel's");
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start({
      prepare: HIDE,
      args: ["--btf", copies],
      config: CONFIG,
    });
    const units = await metricsUnits(agent);
    deepEqual(
      PROBES.map((name) => `${units.get(name)?.state} ${units.get(name)?.hooks}`),
      [
        "Running packetloss_untyped",
        "Running tcpreset",
        "Running tcpretrans",
        "Failed undefined",
        "Failed undefined",
      ],
      agent.log,
    );
    const because = (name: string) => units.get(name)?.because ?? "";
    ok(/no program on "tp_btf\/\w+" as it has no BTF of its own$/.test(because("netiftxlat")));
    ok(/no BTF of its own, which the iterator "task_file" takes$/.test(because("fd")));
    for (const [family, address] of [["ipv4", lab.right.v4], ["ipv6", lab.right.v6]] as const) {
      await lab.traffic(lab.left, "udp", address, 4002, 29);
      const labels = { family, protocol: "udp", reason: "NO_SOCKET" };
      await expectSum(agent, "podskoop_packetloss_packets_total", lab.right, labels, 29);
      await lab.traffic(lab.left, "refused", address, 5001, 23);
      const resets = { kind: "nosock" };
      const count = family === "ipv4" ? 23 : 46;
      await expectSum(agent, "podskoop_tcpreset_resets_total", lab.right, resets, count);
    }
    const drops = await eventually(
      () => agent.events(`type=PACKETLOSS&pod=${lab.right.name}`),
      (events) => events.some(({ source }) => source?.address === lab.left.v6),
      PATIENCE_MS,
    );
    ok(drops.some(({ source }) => source?.address === lab.left.v6), JSON.stringify(drops));
  } finally {
    await Deno.remove(copies, { recursive: true });
  }
});

Deno.test("without BTF and without a copy no probe runs, and each says why", async () => {
  await using agent = await AgentUnderTest.start({ prepare: HIDE, config: CONFIG });
  const units = await metricsUnits(agent);
  for (const name of PROBES) {
    equal(units.get(name)?.state, "Failed");
    ok(/CONFIG_DEBUG_INFO_BTF=y, or a copy: --btf FILE/.test(units.get(name)?.because ?? ""), name);
  }
  const isBtf = ({ missing }: Status) => missing.some(({ what }) => what.startsWith("BTF: "));
  ok(isBtf(await eventually(() => agent.json<Status>("/status"), isBtf, PATIENCE_MS)));
  // Collectors need none of it.
  ok((await agent.metrics()).names().has("podskoop_softnet_processed_total"), agent.log);
});
