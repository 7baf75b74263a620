/**
 * Resets on this machine's kernel: a known number of connections is reset in each of the ways there
 * are, and the agent must say that number, and which end was which.
 */
import { strictEqual } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, type Node, type SeenEvent, sleep } from "./lab.ts";

const RESETS = "podskoop_tcpreset_resets_total";

async function resets(
  agent: AgentUnderTest,
  at: Node,
  kind: string,
  wanted: number,
): Promise<number> {
  const look = async () => (await agent.metrics()).sum(RESETS, { pod: at.name, kind }) ?? 0;
  const found = await eventually(look, (value) => value >= wanted);
  await sleep(300);
  strictEqual(await look(), found);
  return found;
}

async function seen(
  agent: AgentUnderTest,
  at: Node,
  type: string,
  port: number,
  wanted: number,
): Promise<readonly SeenEvent[]> {
  return await eventually(
    async () =>
      (await agent.events(`type=${type}&pod=${at.name}`)).filter(({ source, destination }) =>
        source?.port === port || destination?.port === port
      ),
    (events) => events.reduce((sum, { count }) => sum + count, 0) === wanted,
    15_000,
  );
}

function check(
  events: readonly SeenEvent[],
  wanted: number,
  local: string,
  remote: string,
  port: { local?: number; remote?: number },
): void {
  strictEqual(events.reduce((sum, { count }) => sum + count, 0), wanted);
  for (const { source, destination, network } of events) {
    strictEqual(source?.address, local);
    strictEqual(destination?.address, remote);
    if (port.local !== undefined) strictEqual(source?.port, port.local);
    if (port.remote !== undefined) strictEqual(destination?.port, port.remote);
    strictEqual(network.transport, "tcp");
  }
}

Deno.test("tcpreset sees a closed port from both ends, with the local end first", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  let total = 0;
  for (const [left, right] of [[lab.left.v4, lab.right.v4], [lab.left.v6, lab.right.v6]] as const) {
    total += 23;
    await lab.traffic(lab.left, "refused", right, 5001, 23);
    strictEqual(await resets(agent, lab.right, "nosock", total), total);
    strictEqual(await resets(agent, lab.left, "receive", total), total);
    const sent = (await seen(agent, lab.right, "TCPRESET_NOSOCK", 5001, total)).filter((
      { source },
    ) => source?.address === right);
    check(sent, 23, right, left, { local: 5001 });
    const received = (await seen(agent, lab.left, "TCPRESET_RECEIVE", 5001, total)).filter((
      { destination },
    ) => destination?.address === right);
    check(received, 23, left, right, { remote: 5001 });
    strictEqual(received.every(({ attributes }) => attributes["state"] === "syn_sent"), true);
  }
  const text = await lab.inside(lab.right.name, "nstat", "-asz", "TcpOutRsts");
  strictEqual(/TcpOutRsts\s+46\s/.test(text), true, text);
});

Deno.test(
  "tcpreset sees a close with linger 0 as active at one end and received at the " +
    "other",
  async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start();
    let total = 0;
    for (
      const [left, right] of [[lab.left.v4, lab.right.v4], [lab.left.v6, lab.right.v6]] as const
    ) {
      total += 29;
      await lab.background(lab.right, "serve", right, 5002, 29);
      await lab.traffic(lab.left, "abort", right, 5002, 29);
      strictEqual(await resets(agent, lab.left, "active", total), total);
      strictEqual(await resets(agent, lab.right, "receive", total), total);
      const sent = (await seen(agent, lab.left, "TCPRESET_ACTIVE", 5002, total)).filter((
        { source },
      ) => source?.address === left);
      check(sent, 29, left, right, { remote: 5002 });
      const received = (await seen(agent, lab.right, "TCPRESET_RECEIVE", 5002, total)).filter((
        { source },
      ) => source?.address === right);
      check(received, 29, right, left, { local: 5002 });
    }
    const text = await lab.inside(lab.left.name, "nstat", "-asz", "TcpOutRsts");
    strictEqual(/TcpOutRsts\s+58\s/.test(text), true, text);
  },
);

Deno.test("tcpreset sees netfilter's reset where it arrives", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  let total = 0;
  for (
    const [tool, address] of [["iptables", lab.right.v4], ["ip6tables", lab.right.v6]] as const
  ) {
    total += 19;
    const rule = [
      "INPUT",
      "-p",
      "tcp",
      "--dport",
      "5003",
      "-j",
      "REJECT",
      "--reject-with",
      "tcp-reset",
    ];
    await lab.inside(lab.right.name, tool, "-A", ...rule);
    await lab.traffic(lab.left, "refused", address, 5003, 19);
    strictEqual(await resets(agent, lab.left, "receive", total), total);
  }
  strictEqual((await agent.metrics()).sum(RESETS, { pod: lab.right.name }) ?? 0, 0);
});

Deno.test("tcpreset is silent while connections end in good order", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.background(lab.right, "serve", address, 5004, 31);
    await lab.traffic(lab.left, "orderly", address, 5004, 31, 100);
  }
  await sleep(500);
  const metrics = await agent.metrics();
  for (const { name } of lab.nodes) strictEqual(metrics.sum(RESETS, { pod: name }) ?? 0, 0);
});
