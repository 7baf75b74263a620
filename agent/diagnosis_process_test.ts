import assert from "node:assert/strict";
import type { Config } from "./config/config.ts";
import { diagnoseInProcess, DiagnosisError, taskOf, textsOf } from "./diagnosis_process.ts";
import type { Status } from "./surface.ts";

const STATUS = { node: "node-1" } as Status;
const POD = {
  ...{ kind: "pod", namespace: "shop", name: "web-0", netns: 7, netnsCookie: "1" } as const,
  ...{ addresses: [], pids: [], containerIds: [] },
};
const GONE = { ...POD, name: "gone", goneAt: "2026-06-01T12:00:00Z" };
const AGENT = { pods: () => [POD, GONE], status: () => STATUS };
const QUESTION = { source: "10.0.0.1", destination: "10.0.0.2", port: 80 };

/** Runs a shell script instead. */
function run(script: string, signal = new AbortController().signal) {
  const task = taskOf(QUESTION, AGENT);
  return diagnoseInProcess(task, signal, () =>
    new Deno.Command("sh", {
      args: ["-c", script],
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn());
}

Deno.test("the task has the question, who is who, and the cluster if one is asked", () => {
  const task = { node: "node-1", owners: [POD], question: QUESTION };
  const of = (kubernetes: Config["kubernetes"]) => taskOf(QUESTION, AGENT, { kubernetes });
  const socket = "/run/x.sock";
  assert.deepEqual(taskOf(QUESTION, AGENT, { socket }), { ...task, socket });
  assert.deepEqual(taskOf(QUESTION, AGENT), task);
  assert.deepEqual(of({ scope: "off", kubeconfig: "/k" }), task);
  assert.deepEqual(of({ scope: "node" }), { ...task, kubernetes: {} });
  const kubeconfig = "/k";
  assert.deepEqual(of({ scope: "cluster", kubeconfig }), {
    ...task,
    kubernetes: { kubeconfig },
  });
});

Deno.test("the process is told its task, and answers with a head and texts", async () => {
  const head = '{"verdict":"blocked","summary":"s","notes":[],"predecessor":"{}"}';
  const script = `echo '${head}'; printf '{"text":'; cat | sed 's/.*/"told"/'; echo '}'`;
  const { packed, ...rest } = await run(script);
  assert.deepEqual(rest, JSON.parse(head));
  assert.deepEqual(await textsOf({ packed }), { text: "told" });
});

Deno.test("a process without an answer says why, and whose fault it is", async () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["cat >/dev/null; echo 'podskoop: Cannot find \"x\"' >&2; exit 2", 'Cannot find "x"', true],
    ["exit 1", "Cannot diagnose: the process ended with 1", false],
    ["cat >/dev/null; echo nothing", "Cannot read the diagnosis: SyntaxError", false],
  ];
  for (const [script, message, isQuestion] of cases) {
    await assert.rejects(run(script), (error) => {
      assert.ok(error instanceof DiagnosisError);
      assert.ok(error.message.startsWith(message), error.message);
      assert.equal(error.isQuestion, isQuestion);
      return true;
    });
  }
});

Deno.test("a process that takes too long is killed", async () => {
  const ends = new AbortController();
  const running = run("exec sleep 30", ends.signal);
  ends.abort(new Error("too late"));
  await assert.rejects(running, /too late/);
  await assert.rejects(run("exec sleep 30", ends.signal), /too late/);
});
