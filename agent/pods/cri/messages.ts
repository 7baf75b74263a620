/**
 * The container runtime interface's messages, as far as names take them: the field numbers are
 * those of k8s.io/cri-api, pkg/apis/runtime/v1/api.proto, which only ever grow.
 *
 * @module
 */
import { concat, entry, type Field, fields, numberField, stringField, text } from "./wire.ts";

/** Kubernetes allows 63 characters in a label's value, and 317 in its key. */
const LABEL_LENGTH_MAX = 317;
/** A pod with more labels than this shows the first ones by name. */
const LABELS_MAX = 64;
/** Addresses of one pod: one of each family is usual. */
const ADDRESSES_MAX = 16;

/** `NamespaceMode.NODE`: the pod is in the host's network. */
const NODE = 2;
/** `PodSandboxState.SANDBOX_READY` */
const READY = 0;

/**
 * What the kubelet, and CRI-O for its infrastructure container, add to a sandbox's labels for
 * themselves; all that matters of it is in the metadata too.
 */
const KUBELET_LABELS = new Set([
  "io.kubernetes.container.name",
  "io.kubernetes.pod.name",
  "io.kubernetes.pod.namespace",
  "io.kubernetes.pod.uid",
]);

/** A pod's sandbox, as a list has it. */
export interface Sandbox {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  /** How often the sandbox was made anew for the same pod. */
  readonly attempt: number;
  readonly ready: boolean;
  /** The user's, by key. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What only the status of a sandbox tells. */
export interface SandboxStatus {
  readonly addresses: readonly string[];
  readonly hostNetwork: boolean;
  /** The sandbox's process; undefined where the runtime does not say, or it has ended. */
  readonly pid?: number;
  /** Where its network namespace can be opened, in the host's mount namespace. */
  readonly netnsPath?: string;
}

/** A container, and whose it is. */
export interface Container {
  readonly id: string;
  readonly sandboxId: string;
}

/** `ListPodSandboxResponse`: all of them, ready or not. */
export function sandboxesOf(message: Uint8Array): Sandbox[] {
  return all(message, 1).map((item) => {
    let [id, name, namespace, uid] = ["", "", "", ""];
    let [attempt, state] = [0, READY];
    const labels: (readonly [string, string])[] = [];
    for (const field of fields(item.bytes)) {
      if (field.number === 1) id = text(field);
      else if (field.number === 3) state = field.value;
      else if (field.number === 5) labels.push(entry(field));
      else if (field.number === 2) {
        for (const part of fields(field.bytes)) {
          if (part.number === 1) name = text(part);
          else if (part.number === 2) uid = text(part);
          else if (part.number === 3) namespace = text(part);
          else if (part.number === 4) attempt = part.value;
        }
      }
    }
    return { id, name, namespace, uid, attempt, ready: state === READY, labels: shown(labels) };
  });
}

/** In the order of their keys, since runtimes give them in any. */
function shown(labels: readonly (readonly [string, string])[]): Record<string, string> {
  const own = labels.filter(([key]) => !KUBELET_LABELS.has(key));
  own.sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(
    own.slice(0, LABELS_MAX).map((pair) => pair.map((part) => part.slice(0, LABEL_LENGTH_MAX))),
  );
}

/** `ListContainersResponse` */
export function containersOf(message: Uint8Array): Container[] {
  return all(message, 1).map((item) => {
    let [id, sandboxId] = ["", ""];
    for (const field of fields(item.bytes)) {
      if (field.number === 1) id = text(field);
      else if (field.number === 2) sandboxId = text(field);
    }
    return { id, sandboxId };
  });
}

/** `PodSandboxStatusRequest`, verbose: only then do runtimes tell process and namespace. */
export function statusRequest(id: string): Uint8Array {
  return concat(stringField(1, id), numberField(2, 1));
}

/** `PodSandboxStatusResponse` */
export function statusOf(message: Uint8Array): SandboxStatus {
  const addresses: string[] = [];
  let mode = 0;
  let info = "";
  for (const field of fields(message)) {
    if (field.number === 2) {
      const [key, value] = entry(field);
      if (key === "info") info = value;
    }
    if (field.number !== 1) continue;
    for (const network of all(field.bytes, 5)) {
      for (const part of fields(network.bytes)) {
        if (part.number === 1) addresses.push(text(part));
        else if (part.number === 2) addresses.push(...all(part.bytes, 1).map(text));
      }
    }
    // LinuxPodSandboxStatus.namespaces.options.network
    for (const option of all(field.bytes, 6, 1, 2)) {
      for (const part of fields(option.bytes)) if (part.number === 1) mode = part.value;
    }
  }
  const kept = addresses.filter((address) => address !== "").slice(0, ADDRESSES_MAX);
  return { addresses: kept, hostNetwork: mode === NODE, ...verbose(info) };
}

/** The fields that a path of numbers leads to. */
function all(message: Uint8Array, number: number, ...rest: readonly number[]): Field[] {
  const found = Array.from(fields(message)).filter((field) => field.number === number);
  const [next, ...after] = rest;
  return next === undefined ? found : found.flatMap(({ bytes }) => all(bytes, next, ...after));
}

/**
 * What containerd and CRI-O write into `info["info"]`: JSON with `pid` and the OCI runtime's
 * `config.json` as `runtimeSpec`. It is meant for people, so anything may lack.
 */
function verbose(info: string): Pick<SandboxStatus, "pid" | "netnsPath"> {
  if (info === "") return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(info);
  } catch (error) {
    if (error instanceof SyntaxError) return {}; // Another runtime's words; ids name the pod.
    throw error;
  }
  const pid = at(parsed, "pid");
  const namespaces = at(at(at(parsed, "runtimeSpec"), "linux"), "namespaces");
  const network = Array.isArray(namespaces)
    ? namespaces.find((each) => at(each, "type") === "network")
    : undefined;
  const path = at(network, "path");
  return {
    ...(typeof pid === "number" && Number.isSafeInteger(pid) && pid > 0 ? { pid } : {}),
    ...(typeof path === "string" && path.startsWith("/") ? { netnsPath: path } : {}),
  };
}

function at(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([name]) => name === key)?.[1];
}
