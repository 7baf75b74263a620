import assert from "node:assert/strict";
import { readObjects } from "../../diagnose/kube/objects.ts";
import { madeNode, madePod, madeService, madeSlice } from "../../tests/made_kubernetes.ts";
import { readNode, readNodePod, readPod, readService, readSlice } from "./objects.ts";

// testdata/: Kubernetes 1.20.2, by `PODSKOOP_GOLDEN=write make test-cluster`
const RECORDED = new URL("testdata/objects.json", import.meta.url);

Deno.test("objects of a real API server are read whole, by names as by diagnoses", async () => {
  const text = await Deno.readTextFile(RECORDED);
  const { items: [pod, service, slice, node] } = JSON.parse(text);
  const own = readNodePod(pod);
  assert.deepEqual([own.namespace, own.name, own.labels], ["shop", "web", { version: "2" }]);
  assert.deepEqual(own.addresses, pod.status.podIPs.map(({ ip }: { ip: string }) => ip));
  assert.equal(own.addresses.length, 2);
  assert.match(own.containerIds.join(), /^[0-9a-f]{64}$/);
  assert.deepEqual(readService(service).addresses, service.spec.clusterIPs);
  assert.equal(service.spec.clusterIPs.length, 2);
  const { addresses, namespace, name } = readSlice(slice) ?? assert.fail("It is of no service");
  assert.deepEqual([namespace, name, addresses], ["shop", "front", slice.endpoints[0].addresses]);
  assert.deepEqual(readNode(node).addresses, [pod.status.hostIP]);
  const { objects, mistakes } = readObjects(text);
  assert.deepEqual(mistakes, []);
  assert.deepEqual(objects.map(({ kind }) => kind), ["Pod", "Service", "EndpointSlice", "Node"]);
});

Deno.test("what made a pod is told by its controller's name", () => {
  const labels = { "pod-template-hash": "6d4cf56db6" };
  for (
    const [owner, workload] of [
      [["ReplicaSet", "web-6d4cf56db6"], "Deployment/web"],
      [["ReplicaSet", "web-0123456789"], "ReplicaSet/web-0123456789"],
      [["Job", "report-29384710"], "CronJob/report"],
      [["Job", "migrate-7"], "Job/migrate-7"],
      [["StatefulSet", "db"], "StatefulSet/db"],
      [undefined, undefined],
    ] as const
  ) {
    const pod = madePod({ name: "p", labels, ...(owner === undefined ? {} : { owner }) });
    assert.equal(readPod(pod).workload, workload);
  }
});

Deno.test("a pod's containers are of all kinds, without the runtime's scheme", () => {
  const pod = madePod({ name: "p", containers: ["aa", "bb"] });
  const status = {
    ...pod.status,
    initContainerStatuses: [{ containerID: "cri-o://cc" }, { containerID: "" }],
    ephemeralContainerStatuses: [{ containerID: "docker://dd" }, {}],
  };
  assert.deepEqual(readNodePod({ ...pod, status }).containerIds, ["aa", "bb", "cc", "dd"]);
});

Deno.test("addresses are read of all places, each once, in one form", () => {
  const service = madeService("web", "10.96.0.17", "FD00:0:0::17");
  const spec = { ...service.spec, externalIPs: ["203.0.113.9"] };
  const status = { loadBalancer: { ingress: [{ ip: "203.0.113.7" }, { hostname: "lb.example" }] } };
  assert.deepEqual(readService({ ...service, spec, status }).addresses, [
    "10.96.0.17",
    "fd00::17",
    "203.0.113.9",
    "203.0.113.7",
  ]);
  assert.deepEqual(readService(madeService("none")).addresses, []);
  assert.deepEqual(readNode(madeNode("a", "192.0.2.1")).addresses, ["192.0.2.1"]);
  const pod = madePod({ name: "p", addresses: ["10.0.0.7", "not an address"] });
  assert.deepEqual(readPod(pod).addresses, ["10.0.0.7"]);
});

Deno.test("a slice without endpoints has null lists; one of no service is not kept", () => {
  assert.deepEqual(readSlice(madeSlice("none"))?.addresses, []);
  const slice = madeSlice("web", "10.0.0.7", "10.0.0.9");
  assert.deepEqual(readSlice(slice)?.addresses, ["10.0.0.7", "10.0.0.9"]);
  assert.equal(readSlice({ ...slice, metadata: { ...slice.metadata, labels: {} } }), undefined);
  assert.equal(readSlice({ ...slice, addressType: "FQDN" }), undefined);
});

Deno.test("what has not the shape of its kind is an error", () => {
  for (
    const object of [null, 7, {}, { metadata: { name: "a" } }, { ...madeNode("a"), status: 7 }]
  ) {
    for (const read of [readPod, readNodePod, readService, readSlice, readNode]) {
      assert.throws(() => read(object));
    }
  }
});
