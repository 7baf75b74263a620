/**
 * The agent as the pod that a DaemonSet's controller would make on the node, from the manifests.
 *
 * @module
 */
import { parseAllDocuments } from "yaml";
import type { KubeObject, PodTemplate, Probe } from "./control_plane.ts";

const ROOT = new URL("../../", import.meta.url);

/** The objects of a manifest. */
export async function manifest(path: string): Promise<readonly KubeObject[]> {
  const text = await Deno.readTextFile(new URL(path, ROOT));
  const objects: KubeObject[] = parseAllDocuments(text).map((each) => each.toJS());
  return objects;
}

/** What differs from the manifest: places of this machine that other agents have, too. */
export interface Places {
  readonly image: string;
  readonly port: number;
  /** A folder, and one of a BPF file system, that the pod has for the node's own. */
  readonly dir: string;
  readonly bpffs: string;
  /** The secret with the certificate, where it is to speak TLS. */
  readonly secret?: string;
}

/** The pod of a DaemonSet's template, on the only node. */
export function agentPod(
  { metadata, spec: { containers: [container], volumes, ...spec } }: PodTemplate,
  node: string,
  { image, port, dir, bpffs, secret }: Places,
) {
  const moved: Readonly<Record<string, unknown>> = {
    events: { path: `${dir}/events`, type: "DirectoryOrCreate" },
    socket: { path: `${dir}/socket`, type: "DirectoryOrCreate" },
    bpffs: { path: bpffs, type: "Directory" },
  };
  const scheme = secret === undefined ? "http" : "https";
  const probed = (probe: Probe | undefined) => ({
    ...probe,
    httpGet: { ...probe?.httpGet, scheme: scheme.toUpperCase() },
  });
  const tls = { name: "tls", mountPath: "/etc/podskoop-tls", readOnly: true };
  return {
    kind: "Pod",
    metadata: {
      ...metadata,
      ...{ name: "podskoop-agent", namespace: "podskoop" },
      annotations: { ...metadata.annotations, "prometheus.io/scheme": scheme },
    },
    spec: {
      ...spec,
      ...{ nodeName: node, terminationGracePeriodSeconds: 5 },
      containers: [{
        ...{ ...container, image, ports: [{ name: "metrics", containerPort: port }] },
        // No registry has it.
        imagePullPolicy: "Never",
        readinessProbe: probed(container?.readinessProbe),
        livenessProbe: probed(container?.livenessProbe),
        volumeMounts: [...container?.volumeMounts ?? [], ...(secret === undefined ? [] : [tls])],
      }],
      volumes: [
        ...volumes.map((volume) =>
          volume.name in moved ? { name: volume.name, hostPath: moved[volume.name] } : volume
        ),
        ...(secret === undefined ? [] : [{ name: tls.name, secret: { secretName: secret } }]),
      ],
    },
  };
}
