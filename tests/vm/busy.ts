/**
 * A driver that refuses packets: that of a guest's card whose ring is shorter than what a qdisc
 * sends at once. The driver's own statistics say how often it did.
 *
 * @module
 */
import { type AgentUnderTest, eventually, Lab, run } from "../host/lab.ts";
import { type Check, WAIT_MS } from "./report.ts";

/** `boot.sh` gives it to the card. */
const ADDRESS = "02:00:00:00:00:07";
/** The shortest that the driver allows; a datagram takes one place of it. */
const RING = 32;
/** What comes in such a time is sent at once, after its end. */
const SLOT_MS = 1_500;
/** Each waits that long, and may wait for the next slot. */
const WAITED_MS = 200;
const DATAGRAMS = 97;
const PORT = 4031;
const FAMILIES = [["10.204.7.1/24", "10.204.7.2"], ["fd00:204:7::1/64", "fd00:204:7::2"]] as const;

/** The card's name in the guest. */
async function card(): Promise<string> {
  await run("modprobe", "vmxnet3");
  for await (const { name } of Deno.readDir("/sys/class/net")) {
    const own = await Deno.readTextFile(`/sys/class/net/${name}/address`).catch(() => "");
    if (own.trim() === ADDRESS) return name;
  }
  throw new Error(`Cannot find the network card "${ADDRESS}" in the guest`);
}

/** Gives the left end the card, with neighbours that need not be asked for. */
async function connect(lab: Lab): Promise<void> {
  const inside = (...command: [string, ...string[]]) => lab.inside(lab.left.name, ...command);
  await run("ip", "link", "set", await card(), "netns", lab.left.name, "name", "ring0");
  await inside("sysctl", "-qw", "net.ipv6.conf.ring0.router_solicitations=0");
  await inside("ethtool", "-G", "ring0", "tx", String(RING));
  await inside("ip", "link", "set", "ring0", "up");
  for (const [own, far] of FAMILIES) {
    const nodad = own.includes(":") ? ["nodad"] : [];
    await inside("ip", "address", "add", own, "dev", "ring0", ...nodad);
    await inside("ip", "neighbour", "add", far, "lladdr", "02:00:00:00:00:77", "dev", "ring0");
  }
  const slot = ["delay", `${WAITED_MS}ms`, "slot", `${SLOT_MS}ms`, `${SLOT_MS}ms`];
  await inside("tc", "qdisc", "replace", "dev", "ring0", "root", "netem", "limit", "1000", ...slot);
}

/** How often the driver says that its ring was full. */
async function refused(lab: Lab): Promise<number> {
  const text = await lab.inside(lab.left.name, "ethtool", "-S", "ring0");
  return [...text.matchAll(/ring full: (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Packets that the qdisc has sent, by its own count. */
async function sent(lab: Lab): Promise<number> {
  const text = await lab.inside(lab.left.name, "tc", "-s", "qdisc", "show", "dev", "ring0");
  return Number(/ Sent \d+ bytes (\d+) pkt/.exec(text)?.[1]);
}

/** Has a driver refuse packets that a qdisc sends, and says what the agent makes of it. */
export async function busy(agent: AgentUnderTest): Promise<readonly Check[]> {
  await using lab = await Lab.create();
  await connect(lab);
  for (const [, far] of FAMILIES) await lab.traffic(lab.left, "udp", far, PORT, DATAGRAMS);
  const look = async () => {
    const packets = await sent(lab);
    const metrics = await agent.metrics();
    const figure = (name: string) =>
      metrics.sum(`podskoop_netiftxlat_${name}`, { pod: lab.left.name });
    const slow = figure("qdisc_slow_100ms_total");
    return {
      packets,
      slow: `${slow} slow, ${figure("untimed_total")} untimed`,
      busy: String(figure("busy_total")),
    };
  };
  const fits = ({ packets, slow }: { packets: number; slow: string }) =>
    packets >= 2 * DATAGRAMS && slow.startsWith(`${packets} `);
  const found = await eventually(look, fits, WAIT_MS);
  const wanted = `${found.packets} slow, 0 untimed`;
  const times = await refused(lab);
  return [
    { name: "netiftxlat, a full ring, times", found: found.slow, wanted },
    {
      name: "netiftxlat, a full ring, all datagrams",
      found: String(found.packets >= 2 * DATAGRAMS),
      wanted: "true",
    },
    { name: "netiftxlat, a full ring, busy", found: found.busy, wanted: String(times) },
    { name: "netiftxlat, a full ring, at all", found: String(times > 0), wanted: "true" },
  ];
}
