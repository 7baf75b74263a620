/**
 * Hooks that a guest's kernel would never come to, as it has better ones: an agent of its own, that
 * is shown a BTF without these, takes them, and must count as exactly.
 *
 * @module
 */
import type { Status, UnitStatus } from "../../agent/surface.ts";
import { AgentUnderTest, folder, Lab } from "../host/lab.ts";
import { hideInModule, OtherBtf } from "../host/other_btf.ts";
import { COMMANDS_CONFIG, fewCommands } from "./commands.ts";

/** Notes what was found and what should have been. */
type Check = (name: string, found: unknown, wanted: unknown) => void;

async function hooksOf(agent: AgentUnderTest, probe: string): Promise<string | undefined> {
  const { inuse_probes } = await agent.json<Status>("/status");
  return inuse_probes.metrics.find(({ name }) => name === probe)?.hooks;
}

/** An agent with one probe, as each takes seconds to load here. */
async function agentWith(probe: string, choice: string, prepare: string): Promise<AgentUnderTest> {
  const units = [...Deno.readDirSync("probes")].map(({ name }) =>
    `  ${name}: ${name === probe ? choice : false}\n`
  );
  const config = `events: {foldSeconds: 1}\nprobes:\n${units.join("")}`;
  return await AgentUnderTest.start({ config, prepare });
}

async function resetsByKprobe(
  check: Check,
  resets: (lab: Lab, agent: AgentUnderTest, check: Check) => Promise<void>,
): Promise<void> {
  await using btf = await OtherBtf.without({
    functions: ["tcp_v4_send_reset"],
    arguments: { tcp_send_reset: 2 },
  });
  await using lab = await Lab.create();
  await using agent = await agentWith("tcpreset", "true", btf.prepare);
  check("tcpreset without fentry", await hooksOf(agent, "tcpreset"), "tcpreset_kprobe");
  await resets(lab, agent, (name, ...rest) => check(`${name}, by kprobe`, ...rest));
}

async function commandsByKprobe(check: Check, hooks: string): Promise<void> {
  const name = hooks === "virtcmdlatency_command"
    ? "virtnet_send_command"
    : "virtnet_send_command_reply";
  const wanted = hooks.replace("virtcmdlatency", "virtcmdlatency_kprobe");
  const dir = await folder();
  try {
    const prepare = await hideInModule(dir, "virtio_net", [name]);
    await using agent = await agentWith("virtcmdlatency", COMMANDS_CONFIG, prepare);
    check("virtcmdlatency without fentry", await hooksOf(agent, "virtcmdlatency"), wanted);
    await fewCommands(
      agent,
      (name, ...rest) => check(`virtcmdlatency, by kprobe, ${name}`, ...rest),
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Checks the hook sets on kprobes, where the kernel can pin a kprobe (Linux 5.15). */
export async function forced(
  check: Check,
  commands: UnitStatus | undefined,
  resets: (lab: Lab, agent: AgentUnderTest, check: Check) => Promise<void>,
): Promise<void> {
  // Without it there is no BTF of modules either, nor another set that could be hidden.
  if (commands?.state !== "Running" || commands.hooks === undefined) return;
  await resetsByKprobe(check, resets);
  await commandsByKprobe(check, commands.hooks);
}
