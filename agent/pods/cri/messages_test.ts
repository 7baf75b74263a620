import assert from "node:assert/strict";
import { sandbox, status } from "../../../tests/fake_runtime.ts";
import { containersOf, sandboxesOf, statusOf } from "./messages.ts";
import { bytesField, concat, numberField, stringField } from "./wire.ts";

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

/**
 * Constructed, not recorded: every field of api.proto that CRI-O 1.31 and cri-dockerd 0.3 fill in,
 * as their sources do (server/sandbox_status.go, core/sandbox_status.go).
 */
const CREATED = 1_795_242_774_044_003_328;

function map(number: number, entries: Readonly<Record<string, string>>): Uint8Array {
  return concat(
    ...Object.entries(entries).map(([key, value]) =>
      bytesField(number, concat(stringField(1, key), stringField(2, value)))
    ),
  );
}

const METADATA = concat(
  ...[stringField(1, "web-0"), stringField(2, "uid-0"), stringField(3, "shop")],
  numberField(4, 2),
);
const LABELS = {
  "io.kubernetes.container.name": "POD",
  "io.kubernetes.pod.name": "web-0",
  "io.kubernetes.pod.namespace": "shop",
  "io.kubernetes.pod.uid": "uid-0",
  app: "web",
};
const ANNOTATIONS = { "kubernetes.io/config.source": "api", "io.kubernetes.cri-o.Name": "x" };

/** `PodSandboxStatus`, in the order of its fields. */
function sandboxStatus(mode: number, addresses: readonly string[]): Uint8Array {
  const [first = "", ...others] = addresses;
  const ips = others.map((address) => bytesField(2, stringField(1, address)));
  const options = [numberField(1, mode), numberField(2, 1), numberField(3, 0)];
  const mapping = concat(numberField(1, 0), numberField(2, 65_536), numberField(3, 65_536));
  const userns = bytesField(5, concat(numberField(1, 0), bytesField(2, mapping)));
  return concat(
    ...[stringField(1, "a"), bytesField(2, METADATA), numberField(3, 0), numberField(4, CREATED)],
    bytesField(5, concat(stringField(1, first), ...ips)),
    bytesField(6, bytesField(1, bytesField(2, concat(...options, userns)))),
    ...[map(7, LABELS), map(8, ANNOTATIONS), stringField(9, "runc")],
  );
}

/** `ContainerStatus`, which CRI-O adds where it sends events. */
const CONTAINER_STATUS = concat(
  ...[stringField(1, "c"), bytesField(2, stringField(1, "app")), numberField(3, 1)],
  ...[numberField(4, CREATED), numberField(5, CREATED), stringField(9, "registry.k8s.io/app")],
);

/** What CRI-O says at `verbose`: with an infrastructure container, and without one. */
const INFO = {
  kept: JSON.stringify({
    image: "registry.k8s.io/pause:3.10",
    pid: 4711,
    runtimeSpec: {
      ociVersion: "1.2.0",
      linux: {
        namespaces: [
          { type: "pid" },
          { type: "network", path: "/var/run/netns/93f8c1de-9d0c-4d5e-8f5b-3f7d6bd0f0c2" },
        ],
      },
    },
  }),
  dropped: JSON.stringify({ runtimeSpec: { ociVersion: "" } }),
};

Deno.test("messages as CRI-O makes them tell addresses, process and namespace", () => {
  const answer = (info: string, mode: number) =>
    statusOf(concat(
      bytesField(1, sandboxStatus(mode, ["10.85.0.7", "1100:200::7"])),
      ...[map(2, { info }), bytesField(3, CONTAINER_STATUS), numberField(4, CREATED)],
    ));
  assert.deepEqual(answer(INFO.kept, 0), {
    ...{ addresses: ["10.85.0.7", "1100:200::7"], hostNetwork: false, pid: 4711 },
    netnsPath: "/var/run/netns/93f8c1de-9d0c-4d5e-8f5b-3f7d6bd0f0c2",
  });
  // It runs no infrastructure container by default: then there is neither, and cgroups tell.
  assert.deepEqual(answer(INFO.dropped, 2), {
    ...{ addresses: ["10.85.0.7", "1100:200::7"], hostNetwork: true },
  });
});

Deno.test("messages as cri-dockerd makes them tell addresses, and nothing of the process", () => {
  const answer = statusOf(bytesField(1, sandboxStatus(0, ["10.244.0.9"])));
  assert.deepEqual(answer, { addresses: ["10.244.0.9"], hostNetwork: false });
  assert.deepEqual(statusOf(bytesField(1, sandboxStatus(2, [""]))), {
    ...{ addresses: [], hostNetwork: true },
  });
});

Deno.test("lists as both make them tell names, labels, and whose a container is", () => {
  const item = concat(
    ...[stringField(1, "a"), bytesField(2, METADATA), numberField(3, 0), numberField(4, CREATED)],
    ...[map(5, LABELS), map(6, ANNOTATIONS), stringField(7, "runc")],
  );
  assert.deepEqual(sandboxesOf(bytesField(1, item)), [{
    ...{ id: "a", name: "web-0", namespace: "shop", uid: "uid-0", attempt: 2, ready: true },
    labels: { app: "web" },
  }]);
  const container = concat(
    ...[stringField(1, "c"), stringField(2, "a"), bytesField(3, stringField(1, "app"))],
    ...[bytesField(4, stringField(1, "sha256:1")), stringField(5, "sha256:1")],
    ...[numberField(6, 1), numberField(7, CREATED), map(8, LABELS), map(9, ANNOTATIONS)],
    stringField(10, "sha256:1"),
  );
  assert.deepEqual(containersOf(bytesField(1, container)), [{ id: "c", sandboxId: "a" }]);
});
