/**
 * What of a service, or of a pod's host port, is not as its objects want it.
 *
 * @module
 */
import type { Asked, Remark, Unremarked } from "./kube.ts";
import { type Programmed, programmedOn } from "./programmed.ts";
import { type Drift, type Intent, intentText } from "./service.ts";

/** What is wrong, and what would mend it: of services, and of host ports. */
const DRIFTS: Readonly<
  Record<Drift["kind"], { readonly what: string; readonly fix: string; readonly hostPort: string }>
> = {
  unprogrammed: {
    what: "is not programmed on the way: its packets keep its address",
    fix: "look whether kube-proxy, or what stands for it, runs on that node and is in sync",
    hostPort: "look whether the network's plugin has the capability portMappings (CNI portmap)",
  },
  stale: {
    what: "leads to what is none of its endpoints",
    fix: "restart kube-proxy on that node; end connections by conntrack -D if they are old ones",
    hostPort: "an ended pod's rules are left: look at chain CNI-HOSTPORT-DNAT of table nat",
  },
  missing: {
    what: "does not lead to all of its endpoints",
    fix: "look whether kube-proxy on that node is in sync",
    hostPort: "look at chain CNI-HOSTPORT-DNAT of table nat",
  },
};

/** What is remarkable of a service. */
export function ofService(
  { intent, drifts }: Pick<Unremarked, "intent" | "drifts">,
  asked: Asked,
): readonly Remark[] {
  if (intent === undefined) return [];
  const rules = asked.rules?.find(({ node }) => node === asked.node);
  const { destination: address, port = 0, protocol } = asked;
  // Rules of thousands of services are only searched where there is something to say of them.
  const isTold = drifts.length > 0 || intent.sticky === true;
  const programmed = rules === undefined || intent.access === "host-port" || !isTold
    ? undefined
    : programmedOn(rules, { service: intent.service, address, port, protocol });
  return [
    ...ofObjects(intent, asked),
    ...drifts.map((drift) => ofDrift(intent, drift, programmed, asked)),
    ...ofAffinity(intent, programmed, asked.node),
    ...ofHealth(intent, asked),
  ];
}

function commands({ service, access }: Intent) {
  const [namespace = "", name = ""] = service.split("/");
  return access === "host-port"
    ? { objects: `kubectl -n ${namespace} get pod ${name} -o wide`, namespace, name }
    : {
      objects: `kubectl -n ${namespace} get endpointslices ` +
        `-l kubernetes.io/service-name=${name} -o wide`,
      ...{ namespace, name },
    };
}

function ofObjects(intent: Intent, { verdict }: Asked): readonly Remark[] {
  const { service, because, refused } = intent;
  const { objects, namespace, name } = commands(intent);
  const severity = verdict === "blocked" ? "critical" : "warning";
  const remarks: Remark[] = [];
  if (because !== undefined) {
    remarks.push({
      ...{ id: "service-empty", severity, certainty: "certain" },
      message: `${intentText(intent)} leads nowhere: ${because}`,
      evidence: [{ kind: "object", text: `Service ${service}: ${because}` }],
      confirm: objects,
      fix: "look why no pod that it selects is ready, and at its selector and ports",
    });
  }
  if (refused !== undefined) {
    remarks.push({
      id: "service-source-range",
      // Only nodes that the load balancer's packets come to refuse them.
      severity: verdict === "blocked" ? "warning" : "hint",
      certainty: "certain",
      message: `${intentText(intent)} is not for this source: ${refused}`,
      evidence: [{ kind: "object", text: `Service ${service}: ${refused}` }],
      confirm:
        `kubectl -n ${namespace} get service ${name} -o jsonpath={.spec.loadBalancerSourceRanges}`,
      fix: "add the source's range to the service's loadBalancerSourceRanges",
    });
  }
  return remarks;
}

function ofDrift(
  intent: Intent,
  { kind, backends }: Drift,
  programmed: Programmed | undefined,
  { verdict, node }: Asked,
): Remark {
  const isHostPort = intent.access === "host-port";
  const { what, fix, hostPort } = DRIFTS[kind];
  const isWorst = kind === "unprogrammed" && verdict === "blocked";
  return {
    id: `${isHostPort ? "host-port" : "service"}-${kind}`,
    severity: isWorst ? "critical" : kind === "missing" ? "hint" : "warning",
    certainty: "certain",
    message: `${intentText(intent)} ${what}`,
    evidence: [
      { kind: "object", text: `node ${node}: ${backends.join(", ")}` },
      ...(programmed === undefined ? [] : [{ kind: "rule", text: modeText(programmed) }]),
    ],
    confirm: commands(intent).objects,
    fix: isHostPort ? hostPort : fix,
  };
}

function modeText({ mode, entry }: Programmed): string {
  return `kube-proxy's mode there is ${mode}: ` +
    (entry === undefined ? "nothing of the service is in its rules" : entry);
}

/** That a client keeps its endpoint is wanted, and nothing remembers it. */
function ofAffinity(
  intent: Intent,
  programmed: Programmed | undefined,
  node: string,
): readonly Remark[] {
  if (intent.sticky !== true || intent.backends.length < 2) return [];
  if (programmed?.entry === undefined || programmed.sticky) return [];
  return [{
    id: "service-affinity",
    severity: "hint",
    certainty: "certain",
    message: `${intentText(intent)} has session affinity ClientIP, and nothing on the way keeps it`,
    evidence: [{ kind: "rule", text: modeText(programmed) }],
    confirm: commands(intent).objects,
    fix: `look whether kube-proxy on node ${node} is in sync`,
  }];
}

/** Load balancers ask that port which nodes have endpoints. */
function ofHealth(intent: Intent, { listens, node }: Asked): readonly Remark[] {
  const { healthPort } = intent;
  if (healthPort === undefined || listens?.(node, healthPort) !== false) return [];
  return [{
    id: "service-health-port",
    severity: "hint",
    certainty: "certain",
    message: `${intentText(intent)}: nobody listens on its health check port ${healthPort} on ` +
      `node ${node}, so load balancers take the node for one without endpoints`,
    evidence: [{ kind: "socket", text: `no socket listens on TCP port ${healthPort}` }],
    confirm: `ss -Hnltp sport = ${healthPort}`,
    fix: "look whether kube-proxy, or what stands for it, runs on that node",
  }];
}
