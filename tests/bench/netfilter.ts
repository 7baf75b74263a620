/**
 * Measures how long the rules of a node with 5,000 services take for one packet and its answer,
 * reading them included: kube-proxy's in iptables and in nftables, and one chain of 20,000 rules.
 *
 * `deno run -A tests/bench/netfilter.ts`; needs nothing else. Takes five seconds.
 *
 * @module
 */
import { Netfilter, type Outcome } from "../../diagnose/netfilter/netfilter.ts";
import type { NamespaceSnapshot } from "../../diagnose/snapshot/format.ts";
import { AROUND, namespaceWith, packetOf } from "../made_rules.ts";
import { clusterIp, iptablesServices, nftServices } from "../made_services.ts";
import { figure, median, title } from "./figures.ts";

const CLUSTER = { services: 5_000, endpoints: 1 };
const ROUNDS = 5;
const TARGET_MILLISECONDS = 150;
const LINEAR_RULES = 20_000;

/** A forwarded packet's three hooks, and those of its answer. */
function ask(parts: Partial<NamespaceSnapshot>, to: string): readonly Outcome[] {
  const rules = new Netfilter(namespaceWith(parts));
  const [first] = rules.run("prerouting", packetOf("10.128.0.9", to, 80), AROUND);
  if (first === undefined) throw new Error("Cannot measure: the packet does not get in");
  const [second = first] = rules.run("forward", first.packet, AROUND);
  const last = rules.run("postrouting", second.packet, AROUND);
  const connection = last[0]?.packet.connection ?? first.packet.connection;
  const answer = packetOf("10.128.0.8", "10.128.0.9", 40_000, {
    connection: { ...connection, state: "established", direction: "reply" },
  });
  for (const hook of ["prerouting", "forward", "postrouting"] as const) {
    rules.run(hook, answer, AROUND);
  }
  return last;
}

function measure(name: string, parts: Partial<NamespaceSnapshot>): void {
  const milliseconds = Array.from({ length: ROUNDS }, (_, round) => {
    const began = performance.now();
    ask(parts, clusterIp(CLUSTER.services - 1 - round));
    return performance.now() - began;
  });
  figure(name, median(milliseconds), "ms", TARGET_MILLISECONDS);
}

const lines = Array.from(
  { length: LINEAR_RULES },
  (_, at) =>
    `-A FORWARD -p tcp -m comment --comment "n ${at}" -m tcp --dport ${20_000 + at} -j DROP`,
);
const linear = ["*filter", ":FORWARD ACCEPT [0:0]", ...lines, "COMMIT", ""].join("\n");
const iptables = iptablesServices(CLUSTER);

title(`rules for one packet and its answer, ${CLUSTER.services} services`);
figure("rules of kube-proxy in iptables", iptables.split("-A ").length - 1, "");
measure("iptables", { iptablesNft: iptables });
measure("nftables", { nft: nftServices(CLUSTER) });
measure(`a chain of ${LINEAR_RULES} rules`, { iptablesLegacy: linear });
