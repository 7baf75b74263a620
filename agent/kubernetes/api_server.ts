/**
 * Where the Kubernetes API server is, and who we are to it: of a kubeconfig, or of the service
 * account of the pod that the agent runs in.
 *
 * Files are named here and read when they are needed, since tokens are replaced about hourly and
 * the kubelet replaces its certificate.
 *
 * Source: Kubernetes API reference, "kubeconfig (v1)"; "Accessing the Kubernetes API from a Pod".
 *
 * @module
 */
import { dirname, resolve } from "node:path";
import * as v from "valibot";
import { parse } from "yaml";
import { readBoundedText } from "../bounded_file.ts";
import { inClusterApi } from "../reviews.ts";
import { mistakeOf } from "../shape_mistake.ts";

/** Of a kubeconfig, a token, a certificate. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** A text that is at hand, or the file that has it now. */
export type Secret = { readonly text: string } | { readonly file: string };

/** An API server, and our credentials. */
export interface ApiServer {
  /** `https://10.96.0.1:443`, without a slash at its end. */
  readonly url: string;
  /** Certificates of its authority; without them, the system's are trusted. */
  readonly authority?: Secret;
  readonly token?: Secret;
  readonly certificate?: Secret;
  readonly key?: Secret;
  /** An HTTP proxy in between. */
  readonly proxy?: string;
}

const text = v.pipe(v.string(), v.minLength(1));

const clusterShape = v.object({
  server: text,
  "certificate-authority": v.optional(text),
  "certificate-authority-data": v.optional(text),
  "insecure-skip-tls-verify": v.optional(v.boolean()),
  "tls-server-name": v.optional(v.string()),
  "proxy-url": v.optional(text),
});

const userShape = v.object({
  token: v.optional(v.string()),
  tokenFile: v.optional(v.string()),
  "client-certificate": v.optional(text),
  "client-certificate-data": v.optional(text),
  "client-key": v.optional(text),
  "client-key-data": v.optional(text),
  exec: v.optional(v.object({ command: v.string() })),
  username: v.optional(v.string()),
});

const kubeconfigShape = v.object({
  "current-context": v.optional(v.string(), ""),
  clusters: v.nullish(v.array(v.object({ name: v.string(), cluster: clusterShape }))),
  users: v.nullish(v.array(v.object({ name: v.string(), user: v.nullish(userShape) }))),
  contexts: v.nullish(v.array(v.object({
    name: v.string(),
    context: v.object({ cluster: v.string(), user: v.optional(v.string(), "") }),
  }))),
});

/**
 * The API server that a kubeconfig's current context names.
 *
 * @throws {Error} when the text is no kubeconfig, or asks for what cannot be done here.
 */
export function readKubeconfig(content: string, path: string): ApiServer {
  const where = `Cannot use the kubeconfig "${path}":`;
  let parsed: unknown;
  try {
    parsed = parse(content);
  } catch (error) {
    const [line] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new Error(`${where} ${line?.replace(/:$/, "")}`, { cause: error });
  }
  const shaped = v.safeParse(kubeconfigShape, parsed);
  if (!shaped.success) {
    throw new Error(`${where} ${mistakeOf(shaped.issues[0])}`);
  }
  const { "current-context": current, clusters, users, contexts } = shaped.output;
  const context = contexts?.find(({ name }) => name === current)?.context;
  if (context === undefined) {
    throw new Error(`${where} it has no context called "${current}", its current-context`);
  }
  const cluster = clusters?.find(({ name }) => name === context.cluster)?.cluster;
  if (cluster === undefined) {
    throw new Error(`${where} it has no cluster called "${context.cluster}"`);
  }
  const user = users?.find(({ name }) => name === context.user)?.user ?? {};
  const why = cannot(cluster, user);
  if (why !== undefined) throw new Error(`${where} ${why}`);
  try {
    return serverOf(cluster, user, dirname(path));
  } catch (error) {
    // What atob() throws.
    if (!(error instanceof DOMException)) throw error;
    throw new Error(`${where} what its …-data have is no base64`, { cause: error });
  }
}

/** What of a kubeconfig needs more than a request. */
function cannot(
  cluster: v.InferOutput<typeof clusterShape>,
  user: v.InferOutput<typeof userShape>,
): string | undefined {
  if (!URL.canParse(cluster.server)) return `"${cluster.server}" is no URL`;
  const isPlain = cluster.server.startsWith("http:");
  if (cluster["insecure-skip-tls-verify"] === true && !isPlain) {
    return "insecure-skip-tls-verify is not obeyed: name the certificate-authority";
  }
  const { "tls-server-name": name = "" } = cluster;
  if (name !== "" && name !== new URL(cluster.server).hostname) {
    return `tls-server-name "${name}" is not the server's own, and no other can be asked for`;
  }
  if (user.exec !== undefined) {
    return `its user has a token by the command "${user.exec.command}", and no commands are run ` +
      "for tokens: give it one by tokenFile, or a client certificate";
  }
  if (user.username !== undefined) {
    return "its user has a password, which Kubernetes has not taken since 1.19";
  }
  return undefined;
}

function serverOf(
  cluster: v.InferOutput<typeof clusterShape>,
  user: v.InferOutput<typeof userShape>,
  folder: string,
): ApiServer {
  const secret = (data: string | undefined, file: string | undefined): Secret | undefined => {
    if (data !== undefined) return { text: decodeBase64(data) };
    return file === undefined ? undefined : { file: resolve(folder, file) };
  };
  const authority = secret(
    cluster["certificate-authority-data"],
    cluster["certificate-authority"],
  );
  const certificate = secret(user["client-certificate-data"], user["client-certificate"]);
  const key = secret(user["client-key-data"], user["client-key"]);
  const { token = "", tokenFile = "" } = user;
  const proxy = cluster["proxy-url"];
  return {
    url: cluster.server.replace(/\/+$/, ""),
    ...(authority === undefined ? {} : { authority }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    // The file goes before the text, as it is the one that is kept fresh.
    ...(tokenFile !== ""
      ? { token: { file: resolve(folder, tokenFile) } }
      : token !== ""
      ? { token: { text: token } }
      : {}),
    ...(proxy === undefined ? {} : { proxy }),
  };
}

function decodeBase64(data: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(data), (each) => each.charCodeAt(0)));
}

/**
 * The API server to use: that of the kubeconfig if one is named, else that of the cluster whose pod
 * this process is; undefined when it is none.
 *
 * @throws {Error} when the kubeconfig cannot be used.
 */
export async function findApiServer(kubeconfig?: string): Promise<ApiServer | undefined> {
  if (kubeconfig === undefined) {
    const api = inClusterApi();
    if (api === undefined) return undefined;
    const authority = api.caFile === undefined ? {} : { authority: { file: api.caFile } };
    return { url: api.url, token: { file: api.tokenFile }, ...authority };
  }
  let content: string;
  try {
    content = await readBoundedText(kubeconfig, FILE_BYTES_MAX);
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot read the kubeconfig "${kubeconfig}": ${because}`, { cause: error });
  }
  return readKubeconfig(content, kubeconfig);
}

/** The text of a secret, as it is now. */
export async function secretText(secret: Secret, what: string): Promise<string> {
  if ("text" in secret) return secret.text;
  try {
    return await readBoundedText(secret.file, FILE_BYTES_MAX);
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot read the ${what} "${secret.file}": ${because}`, { cause: error });
  }
}
