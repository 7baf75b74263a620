/**
 * DNS queries in a guest: answered, answered late, refused, and left alone.
 *
 * @module
 */
import { type AgentUnderTest, eventually, Lab, type Node, sleep } from "../host/lab.ts";
import { type Check, WAIT_MS } from "./report.ts";

const FAMILIES = ["v4", "v6"] as const;

async function answers(agent: AgentUnderTest, at: Node, protocol: string): Promise<string> {
  const metrics = await agent.metrics();
  const value = (name: string, labels = {}) =>
    metrics.sum(`podskoop_dns_${name}`, { pod: at.name, protocol, ...labels }) ?? 0;
  const coded = ["NOERROR", "SERVFAIL", "unread"].map((rcode) =>
    `${value("answer_seconds_count", { rcode })} ${rcode}`
  );
  const late = value("answer_seconds_count") - value("answer_seconds_bucket", { le: "1" });
  return `${value("queries_total")}, ${coded}, ${late} late, ${value("timeouts_total")} timeouts`;
}

/** Asks, in a lab of its own, and says what the agent makes of it. */
export async function queries(agent: AgentUnderTest): Promise<readonly Check[]> {
  await using lab = await Lab.create();
  const checks: Check[] = [];
  const check = async (name: string, protocol: string, at: Node, wanted: readonly string[]) => {
    await eventually(
      () => answers(agent, at, protocol),
      (found) => wanted.includes(found),
      WAIT_MS,
    );
    await sleep(500);
    const found = await answers(agent, at, protocol);
    checks.push({ name, found, wanted: wanted.find((each) => each === found) ?? wanted[0] ?? "" });
  };
  for (const [protocol, suffix] of [["udp", ""], ["tcp", "-tcp"]] as const) {
    await Promise.all(FAMILIES.map(async (family) => {
      const right = lab.right[family];
      const ask = (...args: readonly number[]) =>
        lab.traffic(lab.left, `resolve${suffix}`, right, 53, ...args);
      await lab.background(lab.right, `dns-server${suffix}`, right, 53);
      await ask(3, 0, -1);
      await ask(11, 2, 0);
      await ask(2, 0, 1_500);
      await ask(7, 0, 0);
    }));
    const rest = "4 late, 6 timeouts";
    const read = `46, 18 NOERROR,22 SERVFAIL,0 unread, ${rest}`;
    // Before Linux 6.12 nothing leads to what a stream's packet has beside its headers.
    const unread = `46, 0 NOERROR,0 SERVFAIL,40 unread, ${rest}`;
    const wanted = protocol === "tcp" ? [read, unread] : [read];
    await check(`dns, ${protocol}`, protocol, lab.left, wanted);
    const nobody = ["0, 0 NOERROR,0 SERVFAIL,0 unread, 0 late, 0 timeouts"];
    await check(`dns, ${protocol}, whoever answers`, protocol, lab.right, nobody);
  }
  return checks;
}
