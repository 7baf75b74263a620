/**
 * Objects of the Kubernetes API in their real form, with what an API server adds, for tests.
 *
 * @module
 */

/** What differs from one pod to the next. */
export interface MadePod {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly node?: string;
  readonly addresses?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly containers?: readonly string[];
  readonly owner?: readonly [kind: string, name: string];
  readonly hostNetwork?: boolean;
  readonly phase?: string;
  readonly deletionTimestamp?: string;
}

/** A pod as a Deployment makes it and the kubelet reports it. */
export function madePod(pod: MadePod) {
  const { name, namespace = "shop", uid = `uid-${name}`, node = "node-a", addresses = [] } = pod;
  const { labels = {}, annotations, containers = [], owner, deletionTimestamp } = pod;
  const [podIP] = addresses;
  return {
    metadata: {
      name,
      namespace,
      uid,
      creationTimestamp: "2026-11-20T08:15:30Z",
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      labels,
      ...(annotations === undefined ? {} : { annotations }),
      ...(owner === undefined ? {} : {
        ownerReferences: [{
          apiVersion: "apps/v1",
          kind: owner[0],
          name: owner[1],
          uid: "8d1f4f6e-30e3-4c32-9a8e-9c1d9bd6a2f1",
          controller: true,
          blockOwnerDeletion: true,
        }],
      }),
      managedFields: [{
        manager: "kube-controller-manager",
        operation: "Update",
        apiVersion: "v1",
        time: "2026-11-20T08:15:30Z",
        fieldsType: "FieldsV1",
        fieldsV1: { "f:metadata": { "f:generateName": {}, "f:labels": { ".": {}, "f:app": {} } } },
      }],
    },
    spec: {
      volumes: [{ name: "kube-api-access-x2x5n", projected: { defaultMode: 420, sources: [] } }],
      containers: [{ name: "main", image: "registry.example/web:1", resources: {} }],
      restartPolicy: "Always",
      nodeName: node,
      ...(pod.hostNetwork === true ? { hostNetwork: true } : {}),
      tolerations: [{ key: "node.kubernetes.io/not-ready", operator: "Exists" }],
    },
    status: {
      phase: pod.phase ?? "Running",
      conditions: [{ type: "Ready", status: "True", lastProbeTime: null }],
      hostIP: "192.0.2.1",
      ...(podIP === undefined ? {} : { podIP, podIPs: addresses.map((ip) => ({ ip })) }),
      containerStatuses: containers.map((id) => ({
        name: "main",
        containerID: `containerd://${id}`,
        ready: true,
        started: true,
      })),
      qosClass: "BestEffort",
    },
  };
}

/** A Service of the type ClusterIP. */
export function madeService(name: string, ...clusterIPs: readonly string[]) {
  const [clusterIP = "None"] = clusterIPs;
  return {
    metadata: { name, namespace: "shop", uid: `uid-svc-${name}` },
    spec: {
      ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: "web" }],
      selector: { app: name },
      clusterIP,
      clusterIPs,
      type: "ClusterIP",
      sessionAffinity: "None",
      internalTrafficPolicy: "Cluster",
    },
    status: { loadBalancer: {} },
  };
}

/** An EndpointSlice of a service; without addresses its lists are null, as the server has them. */
export function madeSlice(service: string, ...addresses: readonly string[]) {
  return {
    metadata: {
      name: `${service}-x7k2p`,
      namespace: "shop",
      uid: `uid-slice-${service}`,
      labels: { "kubernetes.io/service-name": service },
    },
    addressType: addresses[0]?.includes(":") === true ? "IPv6" : "IPv4",
    endpoints: addresses.length === 0
      ? null
      : addresses.map((each) => ({ addresses: [each], conditions: { ready: true } })),
    ports: addresses.length === 0 ? null : [{ name: "http", port: 8080, protocol: "TCP" }],
  };
}

/** A Node. */
export function madeNode(name: string, ...addresses: readonly string[]) {
  return {
    metadata: { name, uid: `uid-node-${name}` },
    spec: { podCIDR: "10.244.0.0/24" },
    status: {
      addresses: [
        ...addresses.map((address) => ({ type: "InternalIP", address })),
        { type: "Hostname", address: name },
      ],
    },
  };
}
