import assert from "node:assert/strict";
import { factsOfCgroups, factsOfPath, nodePrefixes, unifiedPath } from "./cgroups.ts";

const UID = "2b801b7a-5266-4386-864e-45ed71136371";
const UNDERSCORES = UID.replaceAll("-", "_");
const STATIC = "5e1a7b1af2e4d7a9c0b1a2c3d4e5f607";
const CID = "8dbc6c4aef6f5a1b8cd0a8b7e0ab97dc0c9ae6e2e7f3a90e64bd27b8a9b3e2c1";
const INNER = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const NODE = "aaaabbbbccccddddeeeeffff0000111122223333444455556666777788889999";
const pod = { podUid: UID };
const container = { containerId: CID };

/** Real forms, by who makes them. */
const FORMS: readonly (readonly [string, string, Readonly<Record<string, string>>])[] = [
  ["cgroupfs burstable", `/kubepods/burstable/pod${UID}/${CID}`, { ...pod, ...container }],
  ["cgroupfs besteffort", `/kubepods/besteffort/pod${UID}/${CID}`, { ...pod, ...container }],
  ["cgroupfs guaranteed", `/kubepods/pod${UID}/${CID}`, { ...pod, ...container }],
  ["cgroupfs pod itself", `/kubepods/burstable/pod${UID}`, pod],
  ["cgroupfs static pod", `/kubepods/burstable/pod${STATIC}/${CID}`, {
    podUid: STATIC,
    ...container,
  }],
  [
    "systemd containerd",
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UNDERSCORES}.slice/` +
    `cri-containerd-${CID}.scope`,
    { ...pod, ...container, runtime: "containerd" },
  ],
  [
    "systemd guaranteed",
    `/kubepods.slice/kubepods-pod${UNDERSCORES}.slice/cri-containerd-${CID}.scope`,
    { ...pod, ...container, runtime: "containerd" },
  ],
  [
    "systemd static pod",
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${STATIC}.slice/` +
    `crio-${CID}.scope`,
    { podUid: STATIC, ...container, runtime: "cri-o" },
  ],
  [
    "systemd CRI-O with crun's own level",
    `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${UNDERSCORES}.slice/` +
    `crio-${CID}.scope/container`,
    { ...pod, ...container, runtime: "cri-o" },
  ],
  ["cgroupfs CRI-O", `/kubepods/besteffort/pod${UID}/crio-${CID}`, {
    ...pod,
    ...container,
    runtime: "cri-o",
  }],
  [
    "CRI-O's conmon is outside of the container",
    `/kubepods.slice/kubepods-pod${UNDERSCORES}.slice/crio-conmon-${CID}.scope`,
    pod,
  ],
  [
    "systemd dockershim",
    `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${UNDERSCORES}.slice/` +
    `docker-${CID}.scope`,
    { ...pod, ...container, runtime: "docker" },
  ],
  [
    "runc without systemd given a systemd path",
    `/system.slice/containerd.service/kubepods-burstable-pod${UNDERSCORES}.slice:cri-containerd:` +
    CID,
    { ...pod, ...container, runtime: "containerd" },
  ],
  ["docker cgroupfs", `/docker/${CID}`, { ...container, runtime: "docker" }],
  ["docker systemd", `/system.slice/docker-${CID}.scope`, { ...container, runtime: "docker" }],
  ["docker with a parent of its own", `/jobs.slice/docker-${CID}.scope`, {
    ...container,
    runtime: "docker",
  }],
  ["docker with systemd inside", `/docker/${CID}/system.slice/ssh.service`, {
    ...container,
    runtime: "docker",
  }],
  ["docker with a custom parent folder", `/actions_job/${CID}`, container],
  [
    "podman rootful",
    `/machine.slice/libpod-${CID}.scope/container`,
    { ...container, runtime: "podman" },
  ],
  [
    "podman rootless",
    `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${CID}.scope`,
    { ...container, runtime: "podman" },
  ],
  ["podman cgroupfs", `/libpod_parent/libpod-${CID}`, { ...container, runtime: "podman" }],
  ["podman's conmon", `/machine.slice/libpod-conmon-${CID}.scope`, {}],
  [
    "kind, systemd",
    `/docker/${NODE}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/` +
    `kubelet-kubepods-besteffort-pod${UNDERSCORES}.slice/cri-containerd-${CID}.scope`,
    { ...pod, ...container, runtime: "containerd" },
  ],
  [
    "kind, cgroupfs",
    `/docker/${NODE}/kubelet/kubepods/besteffort/pod${UID}/${CID}`,
    { ...pod, ...container },
  ],
  ["k3s in docker", `/docker/${NODE}/kubepods/burstable/pod${UID}/${CID}`, {
    ...pod,
    ...container,
  }],
  [
    "k3s as a service",
    `/system.slice/k3s.service/kubepods/burstable/pod${UID}/${CID}`,
    { ...pod, ...container },
  ],
  [
    "docker in a pod",
    `/kubepods/burstable/pod${UID}/${CID}/docker/${INNER}`,
    { ...pod, ...container, innerId: INNER },
  ],
  [
    "a pod in a pod, because only the outer one was named by this node",
    `/kubepods/pod${UID}/${CID}/kubelet/kubepods/pod${STATIC}/${INNER}`,
    { ...pod, ...container, innerId: INNER },
  ],
  ["docker in docker", `/docker/${NODE}/docker/${CID}`, { ...container, runtime: "docker" }],
  ["relative, cgroupfs", `/../../pod${UID}/${CID}`, { ...pod, ...container }],
  [
    "relative, systemd",
    `/../../kubepods-burstable-pod${UNDERSCORES}.slice/cri-containerd-${CID}.scope`,
    { ...pod, ...container, runtime: "containerd" },
  ],
  ["relative, of the same pod", `/../cri-containerd-${CID}.scope`, {
    ...container,
    runtime: "containerd",
  }],
  ["relative, the host's", "/../../../init.scope", {}],
  ["nerdctl systemd", `/system.slice/nerdctl-${CID}.scope`, {
    ...container,
    runtime: "containerd",
  }],
  ["ctr", `/default/${CID}`, container],
  ["kata sandbox", `/kubepods/burstable/pod${UID}/kata_${CID}`, {
    ...pod,
    ...container,
    runtime: "kata",
  }],
  ["kata overhead", `/kata_overhead/${CID}`, { ...container, runtime: "kata" }],
  ["ECS", `/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-265927825`, {
    containerId: "0123456789abcdef0123456789abcdef-265927825",
  }],
  ["LXC", "/lxc.payload.web/system.slice/nginx.service", { containerId: "web", runtime: "lxc" }],
  ["LXC on v1", "/lxc/web", { containerId: "web", runtime: "lxc" }],
  ["nspawn", "/machine.slice/systemd-nspawn@web.service/payload", {
    containerId: "web",
    runtime: "systemd-nspawn",
  }],
  ["a service", "/system.slice/ssh.service", {}],
  ["a session", "/user.slice/user-0.slice/session-3.scope", {}],
  ["the QoS level alone", "/kubepods.slice/kubepods-burstable.slice", {}],
  ["a word that starts as a pod does", "/system.slice/podman.service/pod-web", {}],
  ["a hash that is no container's", `/build/${CID.slice(0, 40)}`, {}],
  ["a virtual machine", "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope", {}],
  ["the root", "/", {}],
];

for (const [name, path, expected] of FORMS) {
  Deno.test(`cgroup path tells pod, container and runtime: ${name}`, () => {
    assert.deepEqual(factsOfPath(path), expected);
  });
}

Deno.test("cgroups of the hybrid layout are read from version 1, as version 2 says `/`", () => {
  const text = `12:memory:/docker/${CID}\n1:name=systemd:/docker/${CID}\n0::/\n`;
  assert.deepEqual(factsOfCgroups(text), { containerId: CID, runtime: "docker" });
  assert.equal(unifiedPath(text), "/");
});

Deno.test("cgroups prefer the line that tells most, because hierarchies can differ", () => {
  const text = `5:cpu:/\n4:memory:/kubepods/pod${UID}/${CID}\n0::/docker/${NODE}\n`;
  assert.deepEqual(factsOfCgroups(text), { podUid: UID, containerId: CID });
});

Deno.test("cgroups keep the colons of a path and drop the mark of a removed one", () => {
  const text = `0::/kubepods-pod${UNDERSCORES}.slice:cri-containerd:${CID} (deleted)\n`;
  assert.deepEqual(factsOfCgroups(text), {
    podUid: UID,
    containerId: CID,
    runtime: "containerd",
  });
});

Deno.test("cgroups of a node that is a container leave out what pid 1 has too", () => {
  const path = `/docker/${NODE}/init.scope`;
  const prefixes = nodePrefixes(`2:cpu:${path}\n0::${path}\n`);
  assert.deepEqual(prefixes, [`/docker/${NODE}`, `/docker/${NODE}`]);
  assert.deepEqual(factsOfCgroups(`0::/docker/${NODE}/ssh.service\n`, prefixes), {});
  assert.deepEqual(factsOfCgroups(`0::/docker/${NODE}/docker/${CID}\n`, prefixes), {
    containerId: CID,
    runtime: "docker",
  });
  const inPod = nodePrefixes(`0::/kubepods/pod${UID}/${NODE}/init.scope\n`);
  assert.deepEqual(
    factsOfCgroups(`0::/kubepods/pod${UID}/${NODE}/kubelet/kubepods/pod${STATIC}/${CID}`, inPod),
    { podUid: STATIC, containerId: CID },
  );
});

Deno.test("cgroups make nothing of garbage", () => {
  for (const text of ["", "\n", "::", "0:", "x", "0::", "\u0000\u001b[31m", ":".repeat(99)]) {
    assert.deepEqual(factsOfCgroups(text), {});
  }
});
