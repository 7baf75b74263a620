/**
 * What the agent leaves in the kernel: nothing after a clean stop, everything that counts after a
 * crash.
 */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, run, sleep } from "./lab.ts";

const DROPS = "podskoop_packetloss_packets_total";
const RESETS = "podskoop_tcpreset_resets_total";

interface Numbered {
  readonly id: number;
}

/** Ids of every program, link and map in the kernel. */
async function inKernel(): Promise<Readonly<Record<string, readonly number[]>>> {
  const ids = async (kind: string) => {
    const list: readonly Numbered[] = JSON.parse(await run("bpftool", "-j", kind, "show"));
    return list.map(({ id }) => id);
  };
  return { prog: await ids("prog"), link: await ids("link"), map: await ids("map") };
}

async function extra(
  before: Readonly<Record<string, readonly number[]>>,
): Promise<readonly string[]> {
  const after = await inKernel();
  return Object.entries(after).flatMap(([kind, ids]) =>
    ids.filter((id) => !before[kind]?.includes(id)).map((id) => `${kind} ${id}`)
  );
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("a clean stop leaves no program, link, map or pin", async () => {
  const before = await inKernel();
  await using agent = await AgentUnderTest.start();
  const during = await extra(before);
  strictEqual(
    during.some((name) => name.startsWith("link")),
    true,
    `nothing was loaded: ${during}`,
  );
  const began = performance.now();
  strictEqual(await agent.stop(), 0);
  strictEqual(performance.now() - began < 5_000, true);
  deepStrictEqual(await eventually(() => extra(before), (left) => left.length === 0), []);
  strictEqual(exists(agent.pinDir), false);
  strictEqual(exists(`${agent.dir}/agent.sock`), false);
});

Deno.test("a killed agent's counters go on counting, and its successor adopts them", async () => {
  const before = await inKernel();
  {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start();
    const count = async () =>
      (await agent.metrics()).sum(DROPS, { pod: lab.right.name, reason: "NO_SOCKET" }) ?? 0;
    await lab.traffic(lab.left, "udp", lab.right.v4, 6001, 13);
    strictEqual(await eventually(count, (found) => found >= 13), 13);
    const restarted = agent.crashAndRestart(async () => {
      await lab.traffic(lab.left, "udp", lab.right.v4, 6001, 17);
    });
    await restarted;
    strictEqual(await eventually(count, (found) => found >= 30), 30);
    await lab.traffic(lab.left, "udp", lab.right.v6, 6001, 19);
    strictEqual(await eventually(count, (found) => found >= 49), 49);
    const events = await eventually(
      () => agent.events(`type=PACKETLOSS&pod=${lab.right.name}`),
      (found) => found.length > 0,
    );
    strictEqual(events.length > 0, true);
  }
  deepStrictEqual(await eventually(() => extra(before), (left) => left.length === 0), []);
});

Deno.test("configurations that come at the same time start a probe once", async () => {
  await using agent = await AgentUnderTest.start();
  const put = async (body: string) => {
    const response = await agent.ask("/config", { method: "PUT", body });
    strictEqual(response.status, 200, await response.text());
  };
  // What an agent holds open of its maps, links and rings.
  const held = () =>
    Array.from(Deno.readDirSync(`/proc/${agent.pid}/fd`), ({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/${agent.pid}/fd/${name}`);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return "";
        throw error;
      }
    }).filter((link) => link.startsWith("anon_inode:bpf")).length;
  await put("probes:\n  tcpreset: false\n");
  const before = held();
  await Promise.all(["{}", "logLevel: debug", "events: { foldSeconds: 7 }"].map(put));
  await put("probes:\n  tcpreset: false\n");
  strictEqual(await eventually(() => Promise.resolve(held()), (now) => now === before), before);
});

Deno.test("one probe is stopped and started at run time without touching another", async () => {
  const before = await inKernel();
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const put = async (body: string) => {
    const response = await agent.ask("/config", { method: "PUT", body });
    strictEqual(response.status, 200, await response.text());
  };
  await lab.traffic(lab.left, "udp", lab.right.v4, 6002, 11);
  await lab.traffic(lab.left, "refused", lab.right.v4, 6003, 5);
  const links = (await inKernel())["link"] ?? [];
  await put("probes:\n  tcpreset: false\n");
  await lab.traffic(lab.left, "udp", lab.right.v4, 6002, 11);
  await lab.traffic(lab.left, "refused", lab.right.v4, 6003, 7);
  const off = await agent.metrics();
  strictEqual(off.sum(DROPS, { pod: lab.right.name, protocol: "udp" }), 22);
  strictEqual(off.sum(RESETS), undefined);
  const remaining = (await inKernel())["link"] ?? [];
  strictEqual(remaining.every((id) => links.includes(id)), true, "packetloss was attached anew");
  strictEqual(remaining.length < links.length, true, "tcpreset is still attached");
  await put("{}\n");
  await lab.traffic(lab.left, "refused", lab.right.v4, 6003, 3);
  const again = async () =>
    (await agent.metrics()).sum(RESETS, { pod: lab.right.name, kind: "nosock" });
  strictEqual(await eventually(again, (found) => found === 3), 3);
  for (let round = 0; round < 13; round++) {
    await put("probes:\n  tcpreset: false\n");
    await put("{}\n");
  }
  await agent.stop();
  deepStrictEqual(await eventually(() => extra(before), (left) => left.length === 0), []);
});

Deno.test(
  "two agents run side by side, and a third on a taken pin directory says whose it " +
    "is",
  async () => {
    await using first = await AgentUnderTest.start();
    await using second = await AgentUnderTest.start();
    strictEqual(typeof await second.json("/status"), "object");
    const third = await new Deno.Command(new URL("../../dist/podskoop", import.meta.url).pathname, {
      args: [
        ...["agent", "--listen", "127.0.0.1:0", "--socket", `${first.dir}/third.sock`],
        ...["--data-dir", `${first.dir}/third`, "--pin-dir", first.pinDir],
      ],
    }).output();
    const said = new TextDecoder().decode(third.stderr);
    strictEqual(third.code, 1, said);
    strictEqual(said.includes(first.pinDir), true, said);
    strictEqual((await first.metrics()).sum("podskoop_build_info"), 1);
  },
);

Deno.test(
  "events keep their order and ids over a restart, and a follower resumes where it " +
    "was",
  async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start();
    await lab.traffic(lab.left, "refused", lab.right.v4, 6004, 3);
    const first = await eventually(
      () => agent.events(`type=TCPRESET_NOSOCK&pod=${lab.right.name}`),
      (events) => events.length > 0,
    );
    await sleep(300);
    await agent.crashAndRestart();
    await lab.traffic(lab.left, "refused", lab.right.v6, 6005, 3);
    const all = await eventually(
      () => agent.events(`type=TCPRESET_NOSOCK&pod=${lab.right.name}`),
      (events) => events.some(({ source }) => source?.port === 6005),
    );
    strictEqual(all.some(({ id }) => id === first[0]?.id), true);
    const ids = all.map(({ id }) => Number(id));
    deepStrictEqual(ids, [...ids].sort((left, right) => left - right));
    const stream = await agent.ask("/events/stream", {
      headers: { "last-event-id": String(first[0]?.id) },
    });
    let text = "";
    for await (const chunk of stream.body ?? []) {
      text += new TextDecoder().decode(chunk);
      if (text.includes('"port":6005')) break;
    }
    strictEqual(text.includes(`id: ${first[0]?.id}\n`), false);
  },
);
