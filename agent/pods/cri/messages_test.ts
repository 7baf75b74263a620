import assert from "node:assert/strict";
import { sandbox, status } from "../../../tests/fake_runtime.ts";
import { sandboxesOf, statusOf } from "./messages.ts";
import { bytesField } from "./wire.ts";

const POD = { id: "a", name: "web", namespace: "shop", uid: "u" };

/** What containerd answered about two pods, of which `hostpod` is in the host's network. */
const RECORDED: Readonly<Record<string, string>> = JSON.parse(
  await Deno.readTextFile(new URL("./testdata/containerd.json", import.meta.url)),
);

function recorded(name: string): Uint8Array {
  return Uint8Array.from(atob(RECORDED[name] ?? ""), (character) => character.charCodeAt(0));
}

Deno.test("messages of containerd 1.6 tell names, labels, addresses, process and namespace", () => {
  const sandboxes = sandboxesOf(recorded("ListPodSandbox"))
    .map(({ name, namespace, attempt, ready, labels }) => ({
      ...{ name, namespace, attempt, ready, labels },
    }));
  sandboxes.sort((a, b) => a.name < b.name ? -1 : 1);
  const same = { attempt: 0, ready: true };
  assert.deepEqual(sandboxes, [
    { ...same, name: "hostpod", namespace: "kube-system", labels: { app: "proxy" } },
    { ...same, name: "web", namespace: "shop", labels: { app: "web" } },
  ]);
  const web = statusOf(recorded("PodSandboxStatus web"));
  assert.deepEqual(web.addresses.map((address) => address.includes(":")), [false, true]);
  assert.match(web.netnsPath ?? "", /^\/var\/run\/netns\/cni-/);
  assert.ok(web.pid !== undefined && !web.hostNetwork);
  const host = statusOf(recorded("PodSandboxStatus hostpod"));
  assert.deepEqual([host.hostNetwork, host.addresses, host.netnsPath], [true, [], undefined]);
});

Deno.test("labels are in the order of their keys, without the kubelet's, and bounded", () => {
  const many = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [`l${String(99 - index).padStart(3, "0")}`, "x"]),
  );
  const labels = { ...many, "io.kubernetes.pod.uid": "u", a: "y".repeat(1_000) };
  const [pod] = sandboxesOf(bytesField(1, sandbox({ ...POD, labels })));
  const keys = Object.keys(pod?.labels ?? {});
  assert.deepEqual(keys, ["a", ...Object.keys(many).sort().slice(0, 63)]);
  assert.equal(pod?.labels["a"]?.length, 317);
});

Deno.test("a sandbox that is not ready says so, with how often it was made anew", () => {
  const [pod] = sandboxesOf(bytesField(1, sandbox({ ...POD, ready: false, attempt: 300 })));
  assert.deepEqual([pod?.ready, pod?.attempt], [false, 300]);
});

Deno.test("a status whose verbose part is another runtime's has addresses all the same", () => {
  for (const info of ["", "sandbox is running", "[]", `{"pid":"17"}`, `{"pid":-1}`]) {
    assert.deepEqual(statusOf(status({ ...POD, addresses: ["fd00::7"], info })), {
      ...{ addresses: ["fd00::7"], hostNetwork: false },
    });
  }
});
