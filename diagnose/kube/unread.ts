/**
 * Policies of kinds that are not read: whose they are, so that a diagnosis can say they are there.
 *
 * Sources: the CRDs of Calico v3.30, Cilium v1.17, Antrea v2.3, Istio 1.25 and OVN-Kubernetes;
 * policy.networking.k8s.io/v1alpha2.
 *
 * @module
 */

/** A kind that decides about packets, or about connections. */
interface UnreadKind {
  readonly kind: string;
  /** The resource's name in the API's paths. */
  readonly resource: string;
  readonly group: string;
  readonly version: string;
  readonly whose: string;
}

const CALICO = { group: "crd.projectcalico.org", version: "v1", whose: "Calico" };
const CILIUM = { group: "cilium.io", version: "v2", whose: "Cilium" };
const ANTREA = { group: "crd.antrea.io", version: "v1beta1", whose: "Antrea" };

/** The kinds; Calico's own API server has the same ones in another group. */
export const UNREAD_KINDS: readonly UnreadKind[] = [
  { ...CALICO, kind: "NetworkPolicy", resource: "networkpolicies" },
  { ...CALICO, kind: "GlobalNetworkPolicy", resource: "globalnetworkpolicies" },
  { ...CILIUM, kind: "CiliumNetworkPolicy", resource: "ciliumnetworkpolicies" },
  {
    ...CILIUM,
    kind: "CiliumClusterwideNetworkPolicy",
    resource: "ciliumclusterwidenetworkpolicies",
  },
  { ...ANTREA, kind: "NetworkPolicy", resource: "networkpolicies" },
  { ...ANTREA, kind: "ClusterNetworkPolicy", resource: "clusternetworkpolicies" },
  {
    ...{ kind: "ClusterNetworkPolicy", resource: "clusternetworkpolicies" },
    ...{ group: "policy.networking.k8s.io", version: "v1alpha2", whose: "the network policy API" },
  },
  {
    ...{ kind: "AuthorizationPolicy", resource: "authorizationpolicies" },
    ...{ group: "security.istio.io", version: "v1", whose: "Istio" },
  },
  {
    ...{ kind: "EgressFirewall", resource: "egressfirewalls" },
    ...{ group: "k8s.ovn.org", version: "v1", whose: "OVN-Kubernetes" },
  },
];

/** What is kept of such a policy; undefined for all other objects. */
export function unreadPolicy(kind: string, group: string | undefined) {
  const own = group === "projectcalico.org" ? CALICO.group : group;
  const found = UNREAD_KINDS.find((each) => each.kind === kind && each.group === own);
  return found === undefined
    ? undefined
    : { kind: "UnreadPolicy", of: kind, whose: found.whose } as const;
}
