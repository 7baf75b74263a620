/**
 * Namespaces that get the number of one that has just gone, made in a guest: before Linux 5.12
 * nothing but the number tells them apart in a probe's figures.
 *
 * @module
 */
import { type AgentUnderTest, eventually, run, sleep } from "../host/lab.ts";
import { WAIT_MS } from "./report.ts";

/** More than the agent takes between two looks at the namespaces. */
const LOOK_MS = 3_000;
/** Datagrams to a port that nobody listens on, in one namespace after another. */
const DROPS = [23, 11, 7] as const;
const TRIES_MAX = 20;

async function numberOf(name: string): Promise<string> {
  return (await run("stat", "-L", "-c", "%i", `/run/netns/${name}`)).trim();
}

/** A namespace of that number, which the kernel gives out again once lower ones are taken. */
async function createWith(name: string, number: string | undefined): Promise<string> {
  const others: string[] = [];
  try {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      await run("ip", "netns", "add", name);
      const own = await numberOf(name);
      if (number === undefined || own === number) return own;
      await run("ip", "netns", "delete", name);
      const other = `${name}-other${tries}`;
      await run("ip", "netns", "add", other);
      others.push(other);
    }
    throw new Error(`Cannot get the namespace number ${number} again in ${TRIES_MAX} tries`);
  } finally {
    for (const other of others) await run("ip", "netns", "delete", other);
  }
}

/** Makes namespaces of one number, one after another, and checks that none inherits. */
export async function reuse(
  agent: AgentUnderTest,
  check: (name: string, found: unknown, wanted: unknown) => void,
): Promise<void> {
  let number: string | undefined;
  for (const [index, count] of DROPS.entries()) {
    const pod = `reuse-${index}`;
    number = await createWith(pod, number);
    await run("ip", "-n", pod, "link", "set", "lo", "up");
    await sleep(LOOK_MS);
    const send = `for i in $(seq ${count}); do echo x >/dev/udp/127.0.0.1/4031; done`;
    await run("ip", "netns", "exec", pod, "bash", "-c", send);
    const dropped = async () =>
      (await agent.metrics()).sum("podskoop_packetloss_packets_total", { pod, protocol: "udp" });
    await eventually(dropped, (found) => (found ?? 0) >= count, WAIT_MS);
    await sleep(500);
    check(`packetloss in the namespace ${index} of one number`, await dropped(), count);
    await run("ip", "netns", "delete", pod);
  }
}
