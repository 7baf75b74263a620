/**
 * Descriptors and TCP connections, of processes that share them: an agent whose programs walk the
 * tables themselves, and one that is shown each file, as older kernels do it.
 */
import { deepEqual, equal } from "node:assert/strict";
import type { Status } from "../../agent/surface.ts";
import { sharedFiles } from "./files.ts";
import { AgentUnderTest, Lab } from "./lab.ts";
import { OtherBtf } from "./other_btf.ts";

const PROBES = ["fd", "tcpsummary"] as const;

async function expectAll(lab: Lab, agent: AgentUnderTest, hooks: string): Promise<void> {
  const { inuse_probes } = await agent.json<Status>("/status");
  for (const probe of PROBES) {
    const unit = inuse_probes.metrics.find(({ name }) => name === probe);
    equal(unit?.hooks, `${probe}${hooks}`, unit?.because);
  }
  const { found, wanted } = await sharedFiles(lab, agent);
  deepEqual(found, wanted);
}

Deno.test("descriptors and connections that are shared are counted as /proc has them", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await expectAll(lab, agent, "");
});

Deno.test("the same is counted where programs cannot walk tables themselves", async () => {
  await using btf = await OtherBtf.without({ functions: ["bpf_loop"] });
  // What is mounted later may be hidden from an agent with a mount namespace of its own.
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ prepare: btf.prepare });
  await expectAll(lab, agent, "_file");
});
