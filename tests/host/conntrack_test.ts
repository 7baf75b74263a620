/**
 * Tracked connections on this machine's kernel: a known number of them begins and ends in two
 * namespaces, and the agent must say that number, of which kind, and between whom.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, type Node, run, type SeenEvent } from "./lab.ts";

const PATIENCE_MS = 20_000;
/** A service's address that nobody has. */
const SERVICE = { v4: "10.96.0.10", v6: "fd00:96::10" };

/** Tracks what a namespace sends and receives; `more` are further chains. */
async function track(lab: Lab, at: Node, more = ""): Promise<void> {
  const chain = (hook: string) =>
    `chain ${hook} { type filter hook ${hook} priority 0; ct state new accept; };`;
  await lab.inside(
    at.name,
    "nft",
    `table inet watched { ${chain("input")} ${chain("output")} ${more} }`,
  );
}

/** A second pair of addresses, that no lab of another run on this machine has. */
async function ownAddresses({ nodes }: Lab): Promise<readonly [Node, Node]> {
  const own = nodes.map(({ name }, index): Node => ({
    name,
    v4: `10.${64 + (Deno.pid & 63)}.${Deno.pid >> 6 & 255}.${index + 1}`,
    v6: `fd00:205:${Deno.pid.toString(16)}::${index + 1}`,
  }));
  for (const { name, v4, v6 } of own) {
    await run("ip", "-n", name, "address", "add", `${v4}/24`, "dev", "cable0");
    await run("ip", "-n", name, "address", "add", `${v6}/64`, "dev", "cable0", "nodad");
  }
  const [left, right] = own;
  if (left === undefined || right === undefined) throw new Error("A lab has two namespaces");
  return [left, right];
}

/** An agent that has begun to listen in the namespaces. */
async function listening(at: readonly Node[], parameters: string): Promise<AgentUnderTest> {
  const config = `events: {foldSeconds: 0}\nprobes: {conntrack: {events: true, ${parameters}}}\n`;
  const agent = await AgentUnderTest.start({ config });
  for (const { name } of at) {
    await eventually(
      () => run("ip", "netns", "exec", name, "cat", "/proc/net/netlink"),
      (text) => /^\S+ +12 +[1-9]/m.test(text),
      PATIENCE_MS,
    );
  }
  return agent;
}

async function seen(
  agent: AgentUnderTest,
  at: Node,
  type: string,
  wanted: number,
): Promise<readonly SeenEvent[]> {
  const look = async () =>
    (await agent.events(`type=${type}&pod=${at.name}`)).filter(({ probe }) =>
      probe === "conntrack"
    );
  const found = await eventually(look, ({ length }) => length >= wanted, PATIENCE_MS);
  equal(found.length, wanted, type);
  return found;
}

/** What the agent says became of the probe's events at a stage. */
async function lost(agent: AgentUnderTest, stage: string): Promise<number> {
  const labels = { probe: "conntrack", stage, result: "lost" };
  return (await agent.metrics()).sum("podskoop_events_total", labels) ?? 0;
}

Deno.test("conntrack hears connections begin and end in both namespaces and families", async () => {
  await using lab = await Lab.create();
  const [left, right] = await ownAddresses(lab);
  for (const node of lab.nodes) await track(lab, node);
  await using agent = await listening(lab.nodes, "update: false, events_per_second: 10000");
  for (
    const [address, tcp, udp] of [[right.v4, 13, 7], [right.v6, 11, 5]] as const
  ) {
    await lab.background(right, "serve", address, 4301, tcp);
    await lab.traffic(left, "orderly", address, 4301, tcp, 2_000);
    for (let from = 0; from < udp; from++) {
      await lab.traffic(left, "udp", address, 4302, 1, 4310 + from);
    }
  }
  for (const node of lab.nodes) {
    const begun = await seen(agent, node, "ConntrackNew", 13 + 7 + 11 + 5);
    for (
      const [transport, type, wanted] of [
        ...[["tcp", "ipv4", 13], ["tcp", "ipv6", 11]] as const,
        ...[["udp", "ipv4", 7], ["udp", "ipv6", 5]] as const,
      ]
    ) {
      const these = begun.filter(({ network }) =>
        network.transport === transport && network.type === type
      );
      equal(these.length, wanted, `${transport} ${type}`);
      for (const { source, destination, attributes } of these) {
        equal(source?.pod?.name, left.name);
        equal(destination?.pod?.name, right.name);
        equal(destination?.port, transport === "tcp" ? 4301 : 4302);
        deepEqual(attributes, { state: transport === "tcp" ? "SYN_SENT" : "UNREPLIED" });
      }
    }
    await lab.inside(node.name, "conntrack", "-F");
    await seen(agent, node, "ConntrackDestroy", 13 + 7 + 11 + 5);
  }
  equal(await lost(agent, "ring"), 0);
  equal(await lost(agent, "kernel_limit"), 0);
  equal((await agent.events("type=ConntrackUpdate")).length, 0);
});

Deno.test("conntrack tells who answers for a translated address, and each state", async () => {
  await using lab = await Lab.create();
  const [left, right] = await ownAddresses(lab);
  const translated = (family: string, service: string, to: string) =>
    `${family} daddr ${service} tcp dport 80 dnat ${family} to ${to}; `;
  await track(
    lab,
    left,
    "chain nat { type nat hook output priority -100; " +
      translated("ip", SERVICE.v4, `${right.v4}:4303`) +
      translated("ip6", SERVICE.v6, `[${right.v6}]:4303`) + "};",
  );
  for (
    const [ip, service, via] of [["-4", SERVICE.v4, right.v4], ["-6", SERVICE.v6, right.v6]]
  ) {
    await lab.inside(
      left.name,
      "ip",
      ip ?? "",
      "route",
      "add",
      service ?? "",
      "via",
      via ?? "",
    );
  }
  await using agent = await listening([left], "events_per_second: 10000, pods: netns/*-left");
  for (const [own, service] of [[right.v4, SERVICE.v4], [right.v6, SERVICE.v6]] as const) {
    await lab.background(right, "serve", own, 4303, 3);
    await lab.traffic(left, "orderly", service, 80, 3, 2_000);
  }
  for (
    const { source, destination, attributes } of await seen(agent, left, "ConntrackNew", 6)
  ) {
    const isIpv6 = source?.address.includes(":") === true;
    equal(destination?.address, isIpv6 ? SERVICE.v6 : SERVICE.v4);
    equal(destination?.port, 80);
    deepEqual(attributes, {
      state: "SYN_SENT",
      reply_source: isIpv6 ? right.v6 : right.v4,
      reply_source_port: 4303,
      reply_source_pod: `netns/${right.name}`,
    });
  }
  const updates = await eventually(
    () => agent.events("type=ConntrackUpdate"),
    (events) => events.filter(({ attributes }) => attributes["state"] === "TIME_WAIT").length >= 6,
    PATIENCE_MS,
  );
  const states = updates.map(({ attributes }) => attributes["state"]);
  for (const state of ["SYN_RECV", "ESTABLISHED", "FIN_WAIT", "TIME_WAIT"]) {
    equal(states.filter((each) => each === state).length, 6, state);
  }
});

Deno.test("conntrack takes other parameters while it runs, and ends when told to", async () => {
  await using lab = await Lab.create();
  await track(lab, lab.left);
  await using agent = await listening(
    [lab.left],
    "protocols: udp, states: UNREPLIED, update: false",
  );
  const knock = async () => {
    await lab.traffic(lab.left, "knock", lab.right.v4, 4304, 3, 0);
    await lab.traffic(lab.left, "udp", lab.right.v4, 4305, 1);
  };
  await knock();
  const [first] = await seen(agent, lab.left, "ConntrackNew", 1);
  equal(first?.network.transport, "udp");
  const set = async (probe: string) => {
    const body = `events: {foldSeconds: 0}\nprobes: {conntrack: ${probe}}\n`;
    const response = await agent.ask("/config", { method: "PUT", body });
    ok(response.ok, await response.text());
  };
  await set("{events: true, protocols: tcp, update: false, destroy: false}");
  await knock();
  const both = await seen(agent, lab.left, "ConntrackNew", 4);
  deepEqual(both.map(({ network }) => network.transport).sort(), ["tcp", "tcp", "tcp", "udp"]);
  await set("{events: false}");
  match(await lab.inside(lab.left.name, "cat", "/proc/net/netlink"), /^sk/);
  ok(!/^\S+ +12 +[1-9]/m.test(await lab.inside(lab.left.name, "cat", "/proc/net/netlink")));
  await knock();
  await lab.inside(lab.left.name, "conntrack", "-F");
  await seen(agent, lab.left, "ConntrackNew", 4);
  equal((await agent.events(`type=ConntrackDestroy&pod=${lab.left.name}`)).length, 0);
});

Deno.test("conntrack counts what its socket has no room for, and what is too much", async () => {
  await using lab = await Lab.create();
  await track(lab, lab.left);
  const flood = 4_999;
  await using agent = await listening(
    [lab.left],
    "buffer_bytes: 65536, update: false, destroy: false, events_per_second: 17, " +
      `pods: netns/${lab.left.name}`,
  );
  // Stopped, it cannot read, so what is beyond the socket's room is lost.
  agent.signal("SIGSTOP");
  try {
    await lab.traffic(lab.left, "sweep", lab.right.v6, 4306, flood);
  } finally {
    agent.signal("SIGCONT");
  }
  const count = async (stage: string, result: string) =>
    (await agent.metrics()).sum("podskoop_events_total", { probe: "conntrack", stage, result }) ??
      0;
  const produced = await eventually(
    () => count("kernel_limit", "produced"),
    (value) => value >= flood,
    PATIENCE_MS,
  );
  equal(produced, flood);
  const [limited, full] = [await lost(agent, "kernel_limit"), await lost(agent, "ring")];
  ok(full > 3_000, `${full} found no room`);
  const stored = (await agent.events("type=ConntrackNew")).length;
  equal(stored, produced - limited - full);
  ok(stored >= 17 && limited > 0, `${stored} of ${produced} passed, ${limited} did not`);
});
