/**
 * Whose sidecar the agent is, by what the downward API put into its environment.
 *
 * @module
 */
import { hostname } from "node:os";
import type { Identity } from "./identity.ts";

const NAMES = ["POD_NAME", "KUBESKOOP_POD_NAME", "INSPECTOR_PODNAME"];
const NAMESPACES = ["POD_NAMESPACE", "KUBESKOOP_POD_NAMESPACE", "INSPECTOR_PODNAMESPACE"];

/** The namespace of the pod's service account. */
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/** Where the environment and the account are; given by tests only. */
export interface SidecarOptions {
  readonly env?: (name: string) => string | undefined;
  readonly account?: string;
}

/** The pod that this process is a container of. */
export function ownIdentity(
  { env = (name) => Deno.env.get(name), account = ACCOUNT }: SidecarOptions = {},
): Identity {
  const first = (names: readonly string[]) =>
    names.map(env).find((value) => value !== undefined && value !== "");
  const uid = first(["POD_UID"]);
  return {
    kind: "pod",
    namespace: first(NAMESPACES) ?? accountNamespace(account) ?? "default",
    // A pod's host name is its own, unless its spec says otherwise.
    name: first(NAMES) ?? hostname(),
    ...(uid === undefined ? {} : { uid }),
  };
}

function accountNamespace(path: string): string | undefined {
  try {
    const namespace = Deno.readTextFileSync(path).trim();
    return namespace === "" ? undefined : namespace;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
