import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { readNodeFile, readProcessFile, uplinks } from "./host.ts";

/** A folder in the shape of `/proc`, with these files. */
async function fakeProc(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await Deno.makeTempDir({ prefix: "fake-proc-" });
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(`${root}/${path}/..`.replace(/[^/]+\/\.\.$/, ""), { recursive: true });
    await Deno.writeTextFile(`${root}/${path}`, text);
  }
  return root;
}

Deno.test(
  "uplinks are the devices with hardware behind them, not the bridge and the " +
    "veth",
  async () => {
    const proc = await fakeProc({
      "1/root/sys/class/net/eth0/device": "",
      "1/root/sys/class/net/veth1/type": "1",
      "1/root/sys/class/net/cni0/type": "1",
      "1/root/sys/class/net/lo/type": "772",
    });
    deepStrictEqual(uplinks({ proc }), new Set(["eth0"]));
    await Deno.remove(proc, { recursive: true });
  },
);

Deno.test(
  "where no device has hardware, uplinks are those of the default routes, of both " +
    "families",
  async () => {
    const proc = await fakeProc({
      "1/root/sys/class/net/eth0/type": "1",
      "1/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n" +
        "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\n" +
        "br0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n",
      "1/net/ipv6_route": `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 fe80 400 1 0 3 eth1\n` +
        `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 0 ffffffff 1 0 200200 lo\n`,
    });
    deepStrictEqual(uplinks({ proc }), new Set(["eth0", "eth1"]));
    await Deno.remove(proc, { recursive: true });
  },
);

Deno.test(
  "where there is neither hardware nor a default route, uplinks are not " +
    "known",
  async () => {
    const proc = await fakeProc({ "1/stat": "" });
    strictEqual(uplinks({ proc }), undefined);
    await Deno.remove(proc, { recursive: true });
  },
);

Deno.test(
  "a process that has ended reads as undefined, and anything else is an " +
    "error",
  async () => {
    const proc = await fakeProc({ "7/io": "rchar: 1\n" });
    strictEqual(readProcessFile(7, "io", { proc }), "rchar: 1\n");
    strictEqual(readProcessFile(8, "io", { proc }), undefined);
    throws(() => readProcessFile(7, "", { proc }), /directory/);
    await Deno.remove(proc, { recursive: true });
  },
);

Deno.test("a node's network file is the one that process 1 sees", async () => {
  const proc = await fakeProc({ "1/net/softnet_stat": "host", "stat": "node" });
  strictEqual(readNodeFile("net/softnet_stat", { proc }), "host");
  strictEqual(readNodeFile("stat", { proc }), "node");
  await Deno.remove(proc, { recursive: true });
});
