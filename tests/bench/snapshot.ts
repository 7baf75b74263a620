/**
 * Measures how long a snapshot of the node takes with 100 pods on it, each with a cable to the
 * host, addresses of both families and a rule.
 *
 * Run as root after `make build`: `deno run -A tests/bench/snapshot.ts`. Takes fifteen seconds.
 *
 * @module
 */
import { BINARY } from "../host/lab.ts";
import { figure, median, title } from "./figures.ts";

const PODS = 100;
const ROUNDS = 3;
const TARGET_SECONDS = 3;
const PREFIX = `snap${Deno.pid}`;

async function feed(program: string, args: readonly string[], text: string): Promise<void> {
  const command = new Deno.Command(program, { args: [...args], stdin: "piped", stderr: "piped" });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stderr } = await child.output();
  if (code === 0) return;
  throw new Error(`Cannot run "${program}": ${new TextDecoder().decode(stderr)}`);
}

const names = Array.from({ length: PODS }, (_, at) => `${PREFIX}-${at}`);
const dir = await Deno.makeTempDir();
try {
  await feed("ip", ["-batch", "-"], names.map((name) => `netns add ${name}\n`).join(""));
  for (const [at, name] of names.entries()) {
    await feed(
      "ip",
      ["-n", name, "-batch", "-"],
      [
        "link set lo up",
        `link add eth0 type veth peer name ${PREFIX.slice(0, 10)}x${at} netns ${Deno.pid}`,
        "link set eth0 up",
        `address add 10.204.${at}.2/24 dev eth0`,
        `address add fd00:204:${at}::2/64 dev eth0 nodad`,
        "",
      ].join("\n"),
    );
    const rules =
      `table ip t { chain c { type filter hook input priority 0; tcp dport 99 drop; }; }\n`;
    await feed("ip", ["netns", "exec", name, "nft", "-f", "-"], rules);
  }
  const seconds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    const { code, stderr } = await new Deno.Command(BINARY, {
      args: ["collect", "--local", "-o", `${dir}/node.json.gz`],
      stderr: "piped",
    }).output();
    if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
    seconds.push((performance.now() - began) / 1_000);
  }
  title(`snapshot of ${PODS} pods and the host, ${navigator.hardwareConcurrency} cores`);
  figure("collect --local", median(seconds), "s", TARGET_SECONDS);
  figure("file", (await Deno.stat(`${dir}/node.json.gz`)).size / 1024, "KiB");
} finally {
  const lines = names.map((name) => `netns delete ${name}\n`).join("");
  await feed("ip", ["-force", "-batch", "-"], lines);
  await Deno.remove(dir, { recursive: true });
}
