/**
 * Every collector against the kernel's own tools, in namespaces that are quiet while both are
 * asked.
 */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, type Metrics, type Node, run } from "./lab.ts";

/** `nstat -asz`: every SNMP counter of a namespace, by the kernel's name. */
async function nstat(lab: Lab, at: Node): Promise<ReadonlyMap<string, number>> {
  const text = await lab.inside(at.name, "nstat", "-asz");
  return new Map(
    text.split("\n").filter((line) => !line.startsWith("#")).map((line) => {
      const [name = "", value = ""] = line.split(/\s+/);
      return [name, Number(value)];
    }),
  );
}

async function traffic(lab: Lab): Promise<void> {
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.background(lab.right, "serve", address, 7001, 11);
    await lab.traffic(lab.left, "orderly", address, 7001, 11, 5_000);
    await lab.traffic(lab.left, "udp", address, 7002, 13);
    await lab.traffic(lab.left, "refused", address, 7003, 7);
  }
}

function own(metrics: Metrics, name: string, at: Node, labels = {}): number | undefined {
  return metrics.sum(name, { namespace: "netns", pod: at.name, ...labels });
}

Deno.test("tcp, udp, ip and tcpext agree with nstat on every counter that changed", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await traffic(lab);
  const metrics = await agent.metrics("kubeskoop");
  let compared = 0;
  for (const at of lab.nodes) {
    for (const [name, value] of await nstat(lab, at)) {
      const [, proto = "", field = ""] = /^(TcpExt|Tcp|Udp|Ip)([A-Z].*)$/.exec(name) ?? [];
      if (proto === "" || value === 0) continue;
      const alias = `kubeskoop_${proto.toLowerCase()}_${field.toLowerCase()}`;
      const ours = metrics.sum(alias, { k8s_pod: at.name });
      if (ours === undefined) continue; // the predecessor had a chosen few; the next test takes all
      strictEqual(ours, value, `${at.name} ${name}`);
      compared++;
    }
  }
  strictEqual(compared >= 15, true, `only ${compared} counters were compared`);
});

Deno.test(
  "every counter of nstat stands in /metrics under our names with the same " +
    "value",
  async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start();
    await traffic(lab);
    for (const at of lab.nodes) {
      // IPv6 sends by itself now and then: what moved between the two looks may have either value.
      const before = await nstat(lab, at);
      const metrics = await agent.metrics();
      const after = await nstat(lab, at);
      const values = new Set(
        metrics.text.split("\n").filter((line) => line.includes(`pod="${at.name}"`))
          .map((line) => Number(line.slice(line.lastIndexOf(" ") + 1))),
      );
      const missing = [...before].filter(([name, value]) =>
        value !== 0 && !values.has(value) && !values.has(after.get(name) ?? 0)
      );
      deepStrictEqual(missing, []);
    }
  },
);

Deno.test("netdev agrees with ip -s -j link, per device and summed without lo", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await traffic(lab);
  interface Link {
    readonly ifname: string;
    readonly stats64: Readonly<Record<"rx" | "tx", Readonly<Record<string, number>>>>;
  }
  const cable = async (at: Node): Promise<Link["stats64"] | undefined> => {
    const links: readonly Link[] = JSON.parse(await run("ip", "-n", at.name, "-s", "-j", "link"));
    return links.find(({ ifname }) => ifname === "cable0")?.stats64;
  };
  for (const at of lab.nodes) {
    // IPv6 sends by itself now and then, so ours must lie between two looks; they are mostly equal.
    const before = await cable(at);
    const metrics = await agent.metrics();
    const after = await cable(at);
    for (const [way, word] of [["rx", "receive"], ["tx", "transmit"]] as const) {
      for (const what of ["bytes", "packets", "errors", "dropped"] as const) {
        const [least = NaN, most = NaN] = [before?.[way][what], after?.[way][what]];
        const device = own(metrics, `podskoop_netdev_device_${word}_${what}_total`, at, {
          device: "cable0",
        }) ?? NaN;
        const said = `${at.name} ${word} ${what}: ${least} ${device} ${most}`;
        strictEqual(least <= device && device <= most, true, said);
        strictEqual(own(metrics, `podskoop_netdev_${word}_${what}_total`, at), device, said);
      }
    }
  }
});

Deno.test(
  "netdev counts the host's traffic at its cards only, whatever veths and bridges " +
    "there are",
  async () => {
    await using agent = await AgentUnderTest.start();
    const before = (await agent.metrics()).sum("podskoop_netdev_receive_bytes_total", { pod: "" });
    await run("ip", "link", "add", "hostlab0", "type", "veth", "peer", "name", "hostlab1");
    try {
      await run("ip", "link", "set", "hostlab0", "up");
      await run("ip", "link", "set", "hostlab1", "up");
      const metrics = await agent.metrics();
      const after = metrics.sum("podskoop_netdev_receive_bytes_total", { pod: "" });
      const cards = [...Deno.readDirSync("/sys/class/net")].filter(({ name }) => {
        try {
          return Deno.statSync(`/sys/class/net/${name}/device`).isDirectory;
        } catch (error) {
          if (error instanceof Deno.errors.NotFound) return false;
          throw error;
        }
      });
      const sum = cards.reduce(
        (total, { name }) =>
          total + Number(Deno.readTextFileSync(`/sys/class/net/${name}/statistics/rx_bytes`)),
        0,
      );
      if (cards.length > 0) {
        strictEqual(Math.abs((after ?? 0) - sum) < 100_000, true, `${after} and ${sum}`);
      } else strictEqual(after, before);
    } finally {
      await run("ip", "link", "delete", "hostlab0");
    }
  },
);

Deno.test("tcpsummary and fd agree with ss and /proc on sockets and descriptors", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const child = await lab.background(lab.right, "hold", lab.right.v4, 7004, 17);
  const child6 = await lab.background(lab.right, "hold", lab.right.v6, 7004, 19);
  // A new process is known within a second.
  const metrics = await eventually(
    () => agent.metrics(),
    (metrics) => (own(metrics, "podskoop_fd_sockets", lab.right) ?? 0) >= 17 * 2 + 19 * 2 + 2,
  );
  const ss = await lab.inside(lab.right.name, "ss", "-tanH");
  const established = ss.split("\n").filter((line) => line.startsWith("ESTAB")).length;
  strictEqual(established, 2 * (17 + 19));
  strictEqual(
    own(metrics, "podskoop_tcpsummary_connections", lab.right, { state: "established" }),
    established,
  );
  strictEqual(own(metrics, "podskoop_tcpsummary_listeners", lab.right), 2);
  let files = 0;
  let sockets = 0;
  for (const { pid } of [child, child6]) {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
      files++;
      if (Deno.readLinkSync(`/proc/${pid}/fd/${name}`).startsWith("socket:")) sockets++;
    }
  }
  strictEqual(own(metrics, "podskoop_fd_open", lab.right), files);
  strictEqual(own(metrics, "podskoop_fd_sockets", lab.right), sockets);
  const inuse = own(metrics, "podskoop_sock_tcp_inuse", lab.right, { family: "ipv4" });
  strictEqual(inuse, 17 * 2 + 1);
});

Deno.test("softnet and the host's sockstat are the node's own figures, once", async () => {
  await using agent = await AgentUnderTest.start();
  const read = () =>
    Deno.readTextFileSync("/proc/net/softnet_stat").trim().split("\n").map((line) =>
      parseInt(line.split(" ")[0] ?? "", 16)
    ).reduce((sum, value) => sum + value, 0);
  const before = read();
  const metrics = await agent.metrics();
  const after = read();
  const ours = metrics.sum("podskoop_softnet_processed_total") ?? -1;
  strictEqual(ours >= before && ours <= after, true, `${before} ${ours} ${after}`);
  const lines = metrics.text.split("\n").filter((line) =>
    line.startsWith("podskoop_softnet_processed_total")
  );
  strictEqual(lines.every((line) => line.includes('pod=""')), true);
});

Deno.test(
  "io counts what a namespace's processes read and wrote, and never goes " +
    "down",
  async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start();
    const child = await lab.background(lab.left, "hold", lab.left.v4, 7005, 1);
    const wrote = async () =>
      own(await agent.metrics(), "podskoop_io_wchar_bytes_total", lab.left) ?? -1;
    const written = () =>
      Number(/wchar: (\d+)/.exec(Deno.readTextFileSync(`/proc/${child.pid}/io`))?.[1]);
    // A runtime writes to itself now and then, so the figure must lie between two looks of ours.
    const looks = await eventually(async () => {
      const before = written();
      return { before, ours: await wrote(), after: written() };
    }, ({ before, ours, after }) => before <= ours && ours <= after);
    strictEqual(
      looks.before <= looks.ours && looks.ours <= looks.after,
      true,
      JSON.stringify(looks),
    );
    child.kill("SIGKILL");
    await child.status;
    const later = await wrote();
    strictEqual(later >= looks.ours || later === -1, true, `${later} after ${looks.ours}`);
  },
);

Deno.test("neightable has the figures of the node's neighbour tables", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  /** The kernel's own sum over the CPUs; it moves while other namespaces live. */
  const resFailed = async (file: string) => {
    const [heading = "", ...rows] = (await Deno.readTextFile(`/proc/net/stat/${file}`)).trim()
      .split("\n").map((line) => line.split(/ +/));
    const column = heading.indexOf("res_failed");
    return rows.reduce((sum, row) => sum + Number.parseInt(row[column] ?? "", 16), 0);
  };
  for (const name of ["ipv4", "ipv6"]) {
    const settings = ["mcast_solicit=1", "retrans_time_ms=100"].map((each) =>
      `net.${name}.neigh.cable0.${each}`
    );
    await lab.inside(lab.left.name, "sysctl", "-qw", ...settings);
  }
  for (
    const [family, file, first, count] of [
      ["ipv4", "arp_cache", lab.left.v4.replace(/1$/, "101"), 7],
      ["ipv6", "ndisc_cache", lab.left.v6.replace(/1$/, "101"), 11],
    ] as const
  ) {
    const before = await resFailed(file);
    await lab.traffic(lab.left, "sweep", first, 7101, count);
    const failed = await eventually(
      () => resFailed(file),
      (value) => value >= before + count,
      20_000,
    );
    const metrics = await agent.metrics();
    const ours = metrics.sum("podskoop_neightable_resolution_failures_total", { family }) ?? -1;
    const after = await resFailed(file);
    strictEqual(failed >= before + count, true, `${before}, ${failed}`);
    strictEqual(failed <= ours && ours <= after, true, `${failed} <= ${ours} <= ${after}`);
    const limit = `/proc/sys/net/${family}/neigh/default/gc_thresh3`;
    const most = metrics.sum("podskoop_neightable_entries_max", { family });
    strictEqual(most, Number(await Deno.readTextFile(limit)));
  }
});
