/**
 * `/metrics` as Prometheus itself judges it.
 */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab } from "./lab.ts";

async function promtool(text: string): Promise<{ code: number; said: string }> {
  const child = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, said: decode(stdout) + decode(stderr) };
}

Deno.test("promtool accepts /metrics and has nothing to say about it", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await lab.traffic(lab.left, "udp", lab.right.v4, 8001, 3);
  const { code, said } = await promtool((await agent.metrics()).text);
  deepStrictEqual({ code, said }, { code: 0, said: "" });
});

Deno.test("a real Prometheus scrapes the agent and stores the counter it shows", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await lab.traffic(lab.left, "udp", lab.right.v4, 8002, 23);
  const target = agent.url.slice("http://".length);
  const port = Number(target.split(":")[1]) + 1;
  await Deno.writeTextFile(
    `${agent.dir}/prometheus.yml`,
    "scrape_configs:\n- job_name: podskoop\n  scrape_interval: 1s\n" +
      `  static_configs:\n  - targets: ['${target}']\n`,
  );
  const prometheus = new Deno.Command("prometheus", {
    args: [
      `--config.file=${agent.dir}/prometheus.yml`,
      `--storage.tsdb.path=${agent.dir}/tsdb`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const query = `podskoop_packetloss_packets_total{pod="${lab.right.name}",reason="NO_SOCKET"}`;
    const ask = async (expression: string): Promise<readonly string[]> => {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`;
      const response = await fetch(url).catch(() => undefined);
      // While it starts it says 503, in words that are no JSON.
      if (response === undefined || !response.ok) {
        await response?.body?.cancel();
        return [];
      }
      const { data }: { data?: { result: readonly { value: [number, string] }[] } } = await response
        .json();
      return data?.result.map(({ value }) => value[1]) ?? [];
    };
    deepStrictEqual(await eventually(() => ask(query), (found) => found[0] === "23", 20_000), [
      "23",
    ]);
    deepStrictEqual(await ask(`up{instance="${target}"}`), ["1"]);
    const scraped = await ask(`scrape_samples_scraped{instance="${target}"}`);
    strictEqual(Number(scraped[0]) > 500, true, `${scraped}`);
  } finally {
    prometheus.kill("SIGTERM");
    await prometheus.status;
  }
});

Deno.test("the predecessor's names are all there that this build's units give", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: "probes: {qdisc: true}\n" });
  await lab.traffic(lab.left, "udp", lab.right.v4, 8003, 3);
  const inspector = (await agent.metrics("inspector")).names();
  const listed = await Deno.readTextFile(new URL("../golden/inspector_names.txt", import.meta.url));
  const missing = listed.trim().split("\n").filter((name) => !inspector.has(name));
  deepStrictEqual(missing, []);
  const kubeskoop = (await agent.metrics("kubeskoop")).names();
  const listed2 = await Deno.readTextFile(
    new URL("../golden/kubeskoop_names.txt", import.meta.url),
  );
  deepStrictEqual(listed2.trim().split("\n").filter((name) => !kubeskoop.has(name)), []);
});
