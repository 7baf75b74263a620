/**
 * A Kubernetes control plane of its own: etcd and an API server, at an address of this machine that
 * goes away with them. No controllers run: tests make by themselves what those would make of it.
 *
 * @module
 */
import { folder, run, sleep } from "../host/lab.ts";

const START_MILLISECONDS_MAX = 120_000;
/** Longest that the API server may take for one request while it is busy starting. */
const ANSWER_MILLISECONDS_MAX = 30_000;
/** Of the kubelet, which the API server lets see and do what concerns its own node only. */
const NODE_TOKEN = "token-of-the-node";
const ADMIN_TOKEN = "token-of-the-administrator";

/** An object of the API, as far as tests look into it. */
export interface KubeObject {
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: {
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly template?: PodTemplate;
  };
  readonly status?: {
    readonly phase?: string;
    readonly token?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly {
      readonly containerID?: string;
      readonly restartCount: number;
      readonly state: Readonly<Record<string, { readonly message?: string }>>;
    }[];
  };
}

/** An object that is to be made. */
export interface MadeObject extends Pick<KubeObject, "kind" | "metadata"> {
  readonly [key: string]: unknown;
}

/** What the kubelet asks a container by. */
export interface Probe {
  readonly httpGet: Readonly<Record<string, unknown>>;
}

/** What a DaemonSet makes pods of. */
export interface PodTemplate {
  readonly metadata: {
    readonly annotations?: Readonly<Record<string, string>>;
    readonly [key: string]: unknown;
  };
  readonly spec: {
    readonly containers: readonly {
      readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
      readonly readinessProbe: Probe;
      readonly livenessProbe: Probe;
      readonly volumeMounts: readonly unknown[];
      readonly [key: string]: unknown;
    }[];
    readonly volumes: readonly { readonly name: string; readonly [key: string]: unknown }[];
    readonly [key: string]: unknown;
  };
}

/** Kinds that are of no namespace, and the groups of those that are not of the core. */
const CLUSTER_KINDS: readonly string[] = ["Namespace", "Node", "ClusterRole", "ClusterRoleBinding"];
const GROUPS: Readonly<Record<string, string>> = {
  ClusterRole: "apis/rbac.authorization.k8s.io/v1",
  ClusterRoleBinding: "apis/rbac.authorization.k8s.io/v1",
  Role: "apis/rbac.authorization.k8s.io/v1",
  RoleBinding: "apis/rbac.authorization.k8s.io/v1",
  DaemonSet: "apis/apps/v1",
  EndpointSlice: "apis/discovery.k8s.io/v1beta1",
};

/** Where objects of a kind are: `/api/v1/namespaces/shop/pods`. */
export function pathOf(kind: string, namespace = "default", name?: string): string {
  const plural = `${kind.toLowerCase()}s`;
  const within = CLUSTER_KINDS.includes(kind) ? "" : `/namespaces/${namespace}`;
  return `/${GROUPS[kind] ?? "api/v1"}${within}/${plural}${name === undefined ? "" : `/${name}`}`;
}

/** etcd and kube-apiserver. */
export class ControlPlane implements AsyncDisposable {
  readonly dir: string;
  /** A bridge with nobody on it, for addresses: those of the node and of the API's service. */
  readonly device = `clu${Deno.pid.toString(36)}`;
  /** Every pod there was, as `NAMESPACE NAME UID`. */
  readonly podsMade = new Set<string>();
  readonly #third = Deno.pid % 250;
  readonly #children: Deno.ChildProcess[] = [];
  #client: Deno.HttpClient | undefined;

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async start(programs: string): Promise<ControlPlane> {
    const plane = new ControlPlane(await folder());
    const { dir, device } = plane;
    await run("ip", "link", "add", device, "type", "bridge");
    await run("ip", "link", "set", device, "up");
    for (const address of [plane.address, plane.nodeAddress]) {
      await run("ip", "address", "add", `${address}/32`, "dev", device);
    }
    await run("openssl", "genrsa", "-out", `${dir}/accounts.key`, "2048");
    const users = [
      `${ADMIN_TOKEN},admin,1,"system:masters"`,
      `${NODE_TOKEN},system:node:${plane.node},2,"system:nodes"`,
    ];
    await Deno.writeTextFile(`${dir}/tokens.csv`, `${users.join("\n")}\n`);
    const port = plane.#third * 2 + 42_000;
    plane.#spawn("etcd", "etcd", plane.#etcd(port));
    plane.#spawn("api", `${programs}/kube-apiserver`, plane.#api(port));
    await plane.#ready();
    await plane.writeKubeconfig("admin", ADMIN_TOKEN);
    await plane.writeKubeconfig("node", NODE_TOKEN);
    return plane;
  }

  /** Of the service `kubernetes`, where every pod looks for the API. */
  get address(): string {
    return `10.212.${this.#third}.1`;
  }

  get nodeAddress(): string {
    return `10.212.${this.#third}.254`;
  }

  get node(): string {
    return "node-a";
  }

  get url(): string {
    return `https://${this.address}`;
  }

  /** The certificate by which the API server is known. */
  get authority(): string {
    return `${this.dir}/certificates/apiserver.crt`;
  }

  kubeconfig(user: string): string {
    return `${this.dir}/${user}.kubeconfig`;
  }

  #etcd(port: number): readonly string[] {
    const [clients, peers] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${port + 1}`];
    return [
      ...["--name", "e", "--data-dir", `${this.dir}/etcd`, "--unsafe-no-fsync"],
      ...["--log-level", "warn", "--initial-cluster", `e=${peers}`],
      ...["--listen-client-urls", clients, "--advertise-client-urls", clients],
      ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers],
    ];
  }

  #api(etcd: number): readonly string[] {
    const { dir, address } = this;
    const key = `${dir}/accounts.key`;
    const services = `10.212.${this.#third}.0/25,fd00:212:${this.#third}::/112`;
    return [
      `--etcd-servers=http://127.0.0.1:${etcd}`,
      ...[`--bind-address=${address}`, `--advertise-address=${address}`, "--secure-port=443"],
      ...[`--cert-dir=${dir}/certificates`, `--token-auth-file=${dir}/tokens.csv`],
      ...["--authorization-mode=Node,RBAC", "--endpoint-reconciler-type=none"],
      `--service-cluster-ip-range=${services}`,
      ...["--service-account-issuer=https://kubernetes.default.svc"],
      ...[`--service-account-key-file=${key}`, `--service-account-signing-key-file=${key}`],
      // Tokens of accounts are made by the kubelet's asking, as in newer releases by default.
      "--feature-gates=IPv6DualStack=true,BoundServiceAccountTokenVolume=true",
      "--allow-privileged=true",
    ];
  }

  #spawn(name: string, program: string, args: readonly string[]): void {
    this.#children.push(
      new Deno.Command("sh", {
        args: ["-c", `log=$1; shift; exec "$@" >"$log" 2>&1`, "sh", `${this.dir}/${name}.log`]
          .concat(program, args),
        stdin: "null",
      }).spawn(),
    );
  }

  /** Writes a kubeconfig for who has a token. */
  async writeKubeconfig(user: string, token: string): Promise<void> {
    await Deno.writeTextFile(
      this.kubeconfig(user),
      `apiVersion: v1\nkind: Config\ncurrent-context: c\n` +
        `contexts: [{ name: c, context: { cluster: k, user: u } }]\n` +
        `clusters: [{ name: k, cluster: ` +
        `{ server: "${this.url}", certificate-authority: "${this.authority}" } }]\n` +
        `users: [{ name: u, user: { token: "${token}" } }]\n`,
    );
  }

  async #ready(): Promise<void> {
    const until = Date.now() + START_MILLISECONDS_MAX;
    for (;; await sleep(200)) {
      try {
        const caCerts = [await Deno.readTextFile(this.authority)];
        this.#client?.close();
        this.#client = Deno.createHttpClient({ caCerts });
        if (await this.ask("GET", "/readyz").then((answer) => answer.text()) === "ok") return;
      } catch (error) {
        if (Date.now() > until) {
          const log = await Deno.readTextFile(`${this.dir}/api.log`);
          throw new Error(`Cannot start the API server: ${log.slice(-2_000)}`, { cause: error });
        }
      }
    }
  }

  /** Asks the API, as its administrator if not by another token. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    { token = ADMIN_TOKEN, type = "application/json" } = {},
  ): Promise<Response> {
    if (this.#client === undefined) throw new Error("Cannot ask the API: it does not run");
    const response = await fetch(`${this.url}${path}`, {
      method,
      client: this.#client,
      headers: { authorization: `Bearer ${token}`, "content-type": type },
      signal: AbortSignal.timeout(ANSWER_MILLISECONDS_MAX),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.ok) return response;
    throw new Error(`Cannot ${method} ${path}: ${response.status} ${await response.text()}`);
  }

  async read(path: string): Promise<KubeObject> {
    const object: KubeObject = await (await this.ask("GET", path)).json();
    return object;
  }

  async items(path: string): Promise<readonly KubeObject[]> {
    const list: { items: readonly KubeObject[] } = await (await this.ask("GET", path)).json();
    return list.items;
  }

  /** Makes an object; what the API made of it. */
  async make(object: MadeObject): Promise<KubeObject> {
    const { kind = "", metadata: { namespace } } = object;
    const made: KubeObject = await (await this.ask("POST", pathOf(kind, namespace), object)).json();
    const { uid, name } = made.metadata;
    if (kind === "Pod") this.podsMade.add(`${namespace} ${name} ${uid}`);
    return made;
  }

  /** Changes an object by a merge patch. */
  async change(path: string, patch: unknown): Promise<void> {
    const type = "application/merge-patch+json";
    await (await this.ask("PATCH", path, patch, { type })).body?.cancel();
  }

  /** Deletes an object; a pod only goes when its kubelet has ended it. */
  async delete(path: string): Promise<void> {
    await (await this.ask("DELETE", `${path}?gracePeriodSeconds=1`)).body?.cancel();
  }

  /** A namespace with what controllers would put into it. */
  async makeNamespace(name: string): Promise<void> {
    const found = await this.items("/api/v1/namespaces");
    if (!found.some(({ metadata }) => metadata.name === name)) {
      await this.make({ kind: "Namespace", metadata: { name } });
    }
    await this.make({ kind: "ServiceAccount", metadata: { name: "default", namespace: name } });
    await this.make({
      kind: "ConfigMap",
      metadata: { name: "kube-root-ca.crt", namespace: name },
      data: { "ca.crt": await Deno.readTextFile(this.authority) },
    });
  }

  /** A token of an account, as the kubelet gets it for a pod; for whom, if not for the API. */
  async token(
    namespace: string,
    account: string,
    audiences?: readonly string[],
  ): Promise<string> {
    const path = `${pathOf("ServiceAccount", namespace, account)}/token`;
    const spec = audiences === undefined ? {} : { audiences };
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
    const made: KubeObject = await (await this.ask("POST", path, request)).json();
    return made.status?.token ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    for (const child of this.#children.toReversed()) await end(child);
    await run("ip", "link", "delete", this.device);
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** Ends a process that may have ended by itself. */
export async function end(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  await child.status;
}
