/**
 * Commands to a guest's virtio network device: a known number of VLANs, each of which is one.
 *
 * @module
 */
import { type AgentUnderTest, eventually, type Lab, run, sleep, total } from "../host/lab.ts";
import { WAIT_MS } from "./report.ts";

/** What the guest's agent is told: then every command is an event. */
export const COMMANDS_CONFIG = "{metrics: true, events: true, slow_ns: 1000, long_ns: 1000000000}";

/** The name of the virtio network device whose answers are so late: `boot.sh` gives its address. */
async function device(lateMs: number): Promise<string> {
  const address = `02:00:00:00:00:${lateMs.toString(16).padStart(2, "0")}`;
  for await (const { name } of Deno.readDir("/sys/class/net")) {
    const own = await Deno.readTextFile(`/sys/class/net/${name}/address`).catch(() => "");
    const driver = await Deno.readLink(`/sys/class/net/${name}/device/driver`).catch(() => "");
    if (own.trim() === address && driver.endsWith("/virtio_net")) return name;
  }
  throw new Error(`Cannot find the virtio network device "${address}" in the guest`);
}

/** Told to the agent once each: a VLAN is one command, which its device answers so late. */
const LATE = [
  // A loaded machine makes it later still: by a second at most.
  { ms: 37, vlans: 13, type: "VIRTCMDEXCUTE", long_ns: 1_000_000_000, figure: "slow_total" },
  {
    ms: 137,
    vlans: 7,
    type: "VIRTCMDEXCUTE_100MS",
    long_ns: 100_000_000,
    figure: "slow_100ms_total",
  },
] as const;
/** Until a late device's host is ready to be late again. */
const READY_MS = 500;

/** VLANs on devices that are late to answer: each is an event, and a slow command. */
async function lateCommands(
  agent: AgentUnderTest,
  check: (name: string, found: unknown, wanted: unknown) => void,
  configure: (virtcmdlatency: string) => Promise<void>,
): Promise<void> {
  for (const { ms, vlans, type, long_ns, figure } of LATE) {
    await configure(`{metrics: true, events: true, slow_ns: 10000000, long_ns: ${long_ns}}`);
    const name = await device(ms);
    for (let id = 2; id < 2 + vlans; id++) {
      await sleep(READY_MS);
      // The device is down, so that the kernel tells it nothing but this.
      const [vlan, of] = [["name", `late${ms}.${id}`], ["type", "vlan", "id", `${id}`]];
      await run("ip", "link", "add", "link", name, ...vlan, ...of);
    }
    const seen = async () =>
      (await Promise.all(LATE.map(({ type }) => agent.events(`type=${type}`)))).flat()
        .filter(({ network }) => network.interface === name);
    const events = await eventually(seen, (all) => total(all) >= vlans, WAIT_MS);
    const wrong = events.filter((event) =>
      event.type !== type || !(Number(event.attributes["latency_ms"]) >= ms) ||
      event.process?.comm !== "ip" || event.attributes["class"] !== "vlan"
    );
    const what = `virtcmdlatency, answers after ${ms} ms`;
    check(`${what}, events`, `${total(events)} ${type}`, `${vlans} ${type}`);
    check(`${what}, what events say`, JSON.stringify(wrong), "[]");
    const labels = { device: name, class: "vlan" };
    const found = (await agent.metrics()).sum(`podskoop_virtcmdlatency_${figure}`, labels);
    check(`${what}, figure`, found, vlans);
  }
}

/** A few VLANs on a device in the host's namespace, for an agent that has seen none yet. */
export async function fewCommands(
  agent: AgentUnderTest,
  check: (name: string, found: unknown, wanted: unknown) => void,
): Promise<void> {
  const name = await device(137);
  for (let id = 202; id < 213; id++) {
    const [vlan, of] = [["name", `few${id}`], ["type", "vlan", "id", `${id}`]];
    await run("ip", "link", "add", "link", name, ...vlan, ...of);
  }
  const labels = { device: name, class: "vlan" };
  const figure = async () =>
    (await agent.metrics()).sum("podskoop_virtcmdlatency_command_seconds_count", labels) ?? 0;
  check("VLANs", await eventually(figure, (found) => found >= 11, WAIT_MS), 11);
  const seen = async () =>
    (await agent.events("type=VIRTCMDEXCUTE")).filter(({ network }) => network.interface === name);
  const events = await eventually(seen, (all) => total(all) >= 11, WAIT_MS);
  check("VLANs, events", `${total(events)} by ${events[0]?.process?.comm}`, "11 by ip");
}

/** VLANs on the device, on the host's side and in a namespace, where it has another name. */
export async function commands(
  lab: Lab,
  agent: AgentUnderTest,
  check: (name: string, found: unknown, wanted: unknown) => void,
  configure: (virtcmdlatency: string) => Promise<void>,
): Promise<void> {
  const first = await device(0);
  // Gives each device that is up VLAN 0.
  await run("modprobe", "8021q");
  await run("ip", "link", "set", first, "up");
  const places = [
    { name: first, at: ["ip"], pod: "", vlans: 13, from: 2 },
    { name: "wan0", at: ["ip", "-n", lab.right.name], pod: lab.right.name, vlans: 7, from: 102 },
  ] as const;
  for (const { name, at, pod, vlans, from } of places) {
    const [program, ...args] = at;
    if (name !== first) {
      await run("ip", "link", "set", first, "netns", lab.right.name, "name", name);
    }
    const labels = { device: name, class: "vlan", pod };
    const figure = async () =>
      (await agent.metrics()).sum("podskoop_virtcmdlatency_command_seconds_count", labels) ?? 0;
    const before = await figure();
    const seen = async () =>
      (await agent.events("type=VIRTCMDEXCUTE")).filter(({ network, attributes }) =>
        network.interface === name && attributes["class"] === "vlan"
      );
    const earlier = total(await seen());
    for (let id = from; id < from + vlans; id++) {
      const [vlan, of] = [["name", `vlan${id}`], ["type", "vlan", "id", `${id}`]];
      await run(program, ...args, "link", "add", "link", name, ...vlan, ...of);
    }
    const events = await eventually(seen, (all) => total(all) >= earlier + vlans, WAIT_MS);
    check(`virtcmdlatency, VLANs of ${name}`, await figure() - before, vlans);
    check(`virtcmdlatency, VLANs of ${name}, events`, total(events) - earlier, vlans);
    const { process, pod: whose, attributes } = events.at(-1) ?? {};
    check(
      `virtcmdlatency, VLANs of ${name}, whose`,
      `${process?.comm} ${attributes?.["command"]} ${pod === "" ? whose?.kind : whose?.name}`,
      `ip 0 ${pod === "" ? "host" : pod}`,
    );
  }
  await lateCommands(agent, check, configure);
}
