/**
 * Commands to a guest's virtio network device: a known number of VLANs, each of which is one.
 *
 * @module
 */
import { type AgentUnderTest, eventually, type Lab, run, type SeenEvent } from "../host/lab.ts";

/** An emulated machine is some twenty times slower than its host. */
const WAIT_MS = 20_000;

/** What the guest's agent is told: then every command is an event. */
export const COMMANDS_CONFIG = "{metrics: true, events: true, slow_ns: 1000, long_ns: 1000000000}";

function total(events: readonly SeenEvent[]): number {
  return events.reduce((sum, { count }) => sum + count, 0);
}

/** The name of the guest's only virtio network device. */
async function device(): Promise<string> {
  for await (const { name } of Deno.readDir("/sys/class/net")) {
    const driver = await Deno.readLink(`/sys/class/net/${name}/device/driver`).catch(() => "");
    if (driver.endsWith("/virtio_net")) return name;
  }
  throw new Error("Cannot find a virtio network device in the guest");
}

/** VLANs on the device, on the host's side and in a namespace, where it has another name. */
export async function commands(
  lab: Lab,
  agent: AgentUnderTest,
  check: (name: string, found: unknown, wanted: unknown) => void,
): Promise<void> {
  const first = await device();
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
      const vlan = [
        "link",
        "add",
        "link",
        name,
        "name",
        `vlan${id}`,
        "type",
        "vlan",
        "id",
        `${id}`,
      ];
      await run(program, ...args, ...vlan);
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
}
