/**
 * The compiled agent beside a real containerd with real pods: every name, in every place where the
 * agent shows it, and what becomes of names while pods and the runtime come and go.
 */
import assert from "node:assert/strict";
import type { PodView, Status } from "../../agent/surface.ts";
import { AgentUnderTest, BINARY, eventually, run, type SeenEvent, sleep } from "../host/lab.ts";
import { Containerd, type Made } from "./containerd.ts";

const LABELS = { app: "web", tier: "front" };
/** Refused connections that each pod makes: a number that nothing else gives. */
const CONNECTIONS = 7;

async function podOf(agent: AgentUnderTest, { uid }: Made): Promise<PodView | undefined> {
  const look = async () =>
    (await agent.json<{ pods: PodView[] }>("/pods")).pods
      .find((pod) => pod.uid === uid && pod.kind === "pod" && pod.goneAt === undefined);
  return await eventually(look, (pod) => pod !== undefined, 10_000);
}

async function source(agent: AgentUnderTest, wanted: string) {
  const look = async () =>
    (await agent.json<Status>("/status")).sources.find(({ name }) => name === "cri");
  const found = await eventually(look, (cri) => cri?.state === wanted, 30_000);
  assert.equal(found?.state, wanted, JSON.stringify(found));
  return found;
}

/** Connects from inside a pod to a port that nobody has, over IPv4 and IPv6 in turn. */
async function refuse({ pids }: Pick<PodView, "pids">, port: number): Promise<void> {
  const path = `--net=/proc/${pids[0]}/ns/net`;
  for (let index = 0; index < CONNECTIONS; index++) {
    const address = index % 2 === 0 ? "127.0.0.1" : "::1";
    await assert.rejects(run("nsenter", path, "nc", "-z", "-w2", address, `${port}`));
  }
}

/** Resets at a port, as events tell them: their number, and whose they are. */
async function resets(agent: AgentUnderTest, port: number): Promise<readonly SeenEvent[]> {
  const look = async () =>
    (await agent.events("type=TCPRESET_NOSOCK")).filter(({ source, destination }) =>
      source?.port === port || destination?.port === port
    );
  return await eventually(look, (events) => total(events) >= CONNECTIONS, 15_000);
}

function total(events: readonly SeenEvent[]): number {
  return events.reduce((sum, { count }) => sum + count, 0);
}

async function inTop(agent: AgentUnderTest, { namespace, name }: Made): Promise<boolean> {
  const text = await run(BINARY, "top", "--json", "--agent", `unix:${agent.dir}/agent.sock`);
  const rows: unknown = JSON.parse(text);
  const found = JSON.stringify(rows);
  return found.includes(`"namespace":"${namespace}"`) && found.includes(`"${name}"`);
}

async function start(containerd: Containerd): Promise<AgentUnderTest> {
  const endpoint = `unix://${containerd.socket}`;
  return await AgentUnderTest.start({ args: ["--runtime-endpoint", endpoint] });
}

Deno.test("real pods have name, labels and addresses in /pods, top and events", async () => {
  await using containerd = await Containerd.start();
  const web = await containerd.makePod({ name: "web", namespace: "shop", labels: LABELS });
  const proxy = await containerd.makePod({
    ...{ name: "proxy", namespace: "kube-system", labels: { app: "proxy" }, hostNetwork: true },
  });
  await using agent = await start(containerd);
  assert.deepEqual(await source(agent, "Running"), { name: "cri", state: "Running" });

  const view = await podOf(agent, web);
  assert.ok(view !== undefined && view.pids.length > 0);
  assert.deepEqual([view.namespace, view.name, view.labels], ["shop", "web", LABELS]);
  assert.deepEqual(view.containerIds, [web.id]);
  const own = view.addresses.filter((address) => !address.startsWith("fe80:"));
  assert.deepEqual(own.map((address) => address.includes(":")).sort(), [false, true]);

  const guest = await podOf(agent, proxy);
  const host = Deno.statSync("/proc/self/ns/net").ino;
  assert.deepEqual([guest?.namespace, guest?.name, guest?.netns], ["kube-system", "proxy", host]);

  await refuse(view, 4_711);
  const events = await resets(agent, 4_711);
  assert.equal(total(events), CONNECTIONS);
  for (const { pod } of events) {
    assert.deepEqual(pod, { kind: "pod", namespace: "shop", name: "web", uid: web.uid });
  }
  assert.ok(await inTop(agent, web));
  const metrics = await agent.metrics();
  const labels = { namespace: "shop", pod: "web", kind: "nosock" };
  assert.equal(metrics.sum("podskoop_tcpreset_resets_total", labels), CONNECTIONS);
});

Deno.test("the first events of pods that have only just been made have their names", async () => {
  await using containerd = await Containerd.start();
  await using agent = await start(containerd);
  await source(agent, "Running");
  for (const index of [0, 1, 2]) {
    const young = await containerd.makePod({ name: `p${index}`, namespace: "shop", labels: {} });
    await refuse({ pids: [await containerd.pidOf(young)] }, 4_720 + index);
    const events = await resets(agent, 4_720 + index);
    assert.equal(total(events), CONNECTIONS);
    for (const { pod } of events) {
      assert.deepEqual(pod, { kind: "pod", namespace: "shop", name: young.name, uid: young.uid });
    }
  }
});

Deno.test("events between two pods name both, over IPv4 and IPv6", async () => {
  await using containerd = await Containerd.start();
  const client = await containerd.makePod({ name: "client", namespace: "shop", labels: {} });
  const web = await containerd.makePod({ name: "web", namespace: "shop", labels: LABELS });
  await using agent = await start(containerd);
  const [from, to] = [await podOf(agent, client), await podOf(agent, web)];
  assert.ok(from !== undefined && to !== undefined);
  const addresses = to.addresses.filter((address) => !address.startsWith("fe80:"));
  assert.equal(addresses.length, 2);
  for (const address of addresses) {
    await assert.rejects(
      run("nsenter", `--net=/proc/${from.pids[0]}/ns/net`, "nc", "-z", "-w2", address, "4714"),
    );
  }
  const look = async () =>
    (await agent.events("type=TCPRESET_NOSOCK&pod=web")).filter(({ source }) =>
      source?.port === 4_714
    );
  const events = await eventually(look, (seen) => total(seen) >= 2, 15_000);
  assert.deepEqual(new Set(events.map(({ source }) => source?.address)), new Set(addresses));
  for (const { pod, source, destination } of events) {
    assert.equal(pod?.name, "web");
    assert.deepEqual(source?.pod, { namespace: "shop", name: "web" });
    assert.deepEqual(destination?.pod, { namespace: "shop", name: "client" });
  }
});

Deno.test("a pod made anew under its old name and addresses is another pod at once", async () => {
  await using containerd = await Containerd.start();
  const wanted = { name: "web", namespace: "shop", labels: LABELS };
  const first = await containerd.makePod(wanted);
  await using agent = await start(containerd);
  const before = await podOf(agent, first);
  assert.equal(before?.name, "web");
  await containerd.removePod(first.id);
  await containerd.beginAddressesAnew();
  const second = await containerd.makePod({ ...wanted, labels: { app: "web", version: "2" } });
  const view = await podOf(agent, second);
  assert.ok(view !== undefined);
  assert.deepEqual(view.labels, { app: "web", version: "2" });
  const own = (pod: PodView) => pod.addresses.filter((address) => !address.startsWith("fe80:"));
  assert.deepEqual(own(view), own(before));
  await refuse(view, 4_712);
  for (const { pod } of await resets(agent, 4_712)) {
    assert.deepEqual(pod, { kind: "pod", namespace: "shop", name: "web", uid: second.uid });
  }
  const alive = (await agent.json<{ pods: PodView[] }>("/pods")).pods
    .filter(({ name, goneAt }) => name === "web" && goneAt === undefined);
  assert.deepEqual(alive.map(({ uid }) => uid), [second.uid]);
});

Deno.test("names stay while containerd is killed, which is said, and it recovers", async () => {
  await using containerd = await Containerd.start();
  const wanted = { name: "web", namespace: "shop", labels: LABELS };
  const web = await containerd.makePod(wanted);
  await using agent = await start(containerd);
  assert.equal((await podOf(agent, web))?.name, "web");
  await containerd.kill();
  const stale = await source(agent, "Degraded");
  assert.match(stale?.because ?? "", /^Names are \d+ s old: Cannot ask ".*containerd\.sock"/);
  const view = await podOf(agent, web);
  assert.ok(view !== undefined);
  assert.deepEqual(view.labels, LABELS);
  await refuse(view, 4_713);
  const events = await resets(agent, 4_713);
  assert.deepEqual(new Set(events.map(({ pod }) => pod?.name)), new Set(["web"]));
  await containerd.restart();
  assert.deepEqual(await source(agent, "Running"), { name: "cri", state: "Running" });
  const young = await containerd.makePod({ ...wanted, name: "young" });
  assert.equal((await podOf(agent, young))?.name, "young");
});

/** Refused connections of each pod under load, and their pause: they outlast the restart. */
const UNDER_LOAD = 47;
const PAUSE_SECONDS = 0.2;

/** Connects again and again from inside a pod, over IPv4 and IPv6 in turn. */
async function load({ pids }: Pick<PodView, "pids">, port: number): Promise<void> {
  const script = `i=0; while [ $i -lt ${UNDER_LOAD} ]; do
    if [ $((i % 2)) = 0 ]; then a=127.0.0.1; else a=::1; fi
    nc -z -w2 $a ${port} || i=$((i + 1)); sleep ${PAUSE_SECONDS}
  done`;
  await run("nsenter", `--net=/proc/${pids[0]}/ns/net`, "sh", "-c", script);
}

Deno.test("pods keep their own names while containerd is killed under load", async () => {
  await using containerd = await Containerd.start();
  const wanted = { namespace: "shop", labels: LABELS };
  const pods = await Promise.all(
    ["a", "b", "c"].map((name) => containerd.makePod({ ...wanted, name })),
  );
  const doomed = await containerd.makePod({ ...wanted, name: "doomed" });
  await using agent = await start(containerd);
  const views: PodView[] = [];
  for (const pod of pods) views.push(await podOf(agent, pod) ?? assert.fail(pod.name));
  assert.equal((await podOf(agent, doomed))?.name, "doomed");
  const ports = pods.map((_, index) => 4_741 + index);
  const loads = Promise.all(views.map((view, index) => load(view, ports[index] ?? 0)));
  const dead = await containerd.pidOf(doomed);
  await containerd.kill();
  await source(agent, "Degraded");
  // It ends while nobody can tell, and is made anew under its name as soon as somebody can.
  Deno.kill(dead, "SIGKILL");
  await containerd.restart();
  await containerd.removePod(doomed.id);
  const anew = await containerd.makePod({ ...wanted, name: "doomed", labels: { version: "2" } });
  const view = await podOf(agent, anew);
  assert.deepEqual([view?.name, view?.labels], ["doomed", { version: "2" }]);
  await loads;
  const count = (pod: string) => ({ namespace: "shop", pod, kind: "nosock" });
  const metrics = await agent.metrics();
  for (const [index, { name, uid }] of pods.entries()) {
    const sum = metrics.sum("podskoop_tcpreset_resets_total", count(name));
    assert.equal(sum, UNDER_LOAD, name);
    for (const { pod } of await resets(agent, ports[index] ?? 0)) {
      assert.deepEqual(pod, { kind: "pod", namespace: "shop", name, uid });
    }
  }
  await source(agent, "Running");
});

/** Pods of a short life, and how many of them there are at a time. */
const SHORT_LIVES = 13;
const LIVES_AT_ONCE = 4;
/** A container of one command takes longer to be made and removed than this. */
const LIFE_MILLISECONDS = 300;

Deno.test("pods that go as soon as they are there are named, many at a time", async () => {
  await using containerd = await Containerd.start();
  await using agent = await start(containerd);
  await source(agent, "Running");
  const waiting = Array.from({ length: SHORT_LIVES }, (_, index) => index).values();
  const uids = new Map<number, string>();
  const work = async () => {
    for (const index of waiting) {
      const name = `short-${index}`;
      const pod = await containerd.makePod({ name, namespace: "shop", labels: {} });
      uids.set(4_750 + index, pod.uid);
      const path = `--net=/proc/${await containerd.pidOf(pod)}/ns/net`;
      await assert.rejects(
        run("nsenter", path, "nc", "-z", "-w2", "127.0.0.1", `${4_750 + index}`),
      );
      await sleep(LIFE_MILLISECONDS);
      // The kubelet's garbage collector removes it later, too.
      await containerd.stopPod(pod.id);
    }
  };
  await Promise.all(Array.from({ length: LIVES_AT_ONCE }, work));
  const look = async () =>
    (await agent.events("type=TCPRESET_NOSOCK")).filter(({ source }) =>
      uids.has(source?.port ?? 0)
    );
  const events = await eventually(look, (seen) => total(seen) >= SHORT_LIVES, 15_000);
  const told = await agent.report(/^podskoop_(tcpreset_resets|events)_total/);
  assert.equal(total(events), SHORT_LIVES, told);
  for (const { pod, source } of events) {
    const port = source?.port ?? 0;
    const name = `short-${port - 4_750}`;
    assert.deepEqual(pod, { kind: "pod", namespace: "shop", name, uid: uids.get(port) });
  }
});
