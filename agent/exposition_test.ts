import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { expose } from "./exposition.ts";
import { AdditionalLabels } from "./pod_labels.ts";
import type { Metrics } from "./metric.ts";
import { HOST, type Owner, Registry } from "./series.ts";

const CARDS: Metrics = {
  netdev_receive_errors_total: {
    type: "counter",
    help: "Packets received with an error",
    alias: { kubeskoop: ["netdev_rxerrors"], inspector: ["netdevrxerrors", "netdevrxerror"] },
  },
  tcpsummary_connections: {
    type: "gauge",
    help: "TCP connections",
    labels: ["state"],
    seriesMax: 12,
    alias: { kubeskoop: ["tcpsummary_tcpestablishedconn"], where: { state: "established" } },
  },
  softnet_processed_total: {
    type: "counter",
    help: "Packets processed",
    labels: ["cpu"],
    seriesMax: 1_024,
    alias: { inspector: ["softnetprocessed"] },
  },
  tcp_unlisted: { type: "unknown", help: "Fields without a name", labels: ["field"] },
};
const POD: Owner = { key: "p", namespace: 'sh"op', pod: "cart\\1\n" };

function text(names: "podskoop" | "inspector" | "kubeskoop", openMetrics = false): string {
  const collection = new Registry().begin();
  collection.declare("netdev", CARDS);
  collection.add("netdev_receive_errors_total", HOST, [], 3);
  collection.add("netdev_receive_errors_total", POD, [], 5);
  collection.add("tcpsummary_connections", POD, ["established"], 7);
  collection.add("tcpsummary_connections", POD, ["listen"], 2);
  collection.add("softnet_processed_total", HOST, ["0"], 11);
  collection.add("softnet_processed_total", HOST, ["1"], 13);
  const bytes = expose(collection, { names: [names], openMetrics, node: "n1" });
  return new TextDecoder().decode(bytes);
}

Deno.test("expose escapes label values and gives every series node, namespace and pod", () => {
  const lines = text("podskoop").split("\n");
  deepStrictEqual(lines.filter((line) => line.includes("netdev")), [
    "# HELP podskoop_netdev_receive_errors_total Packets received with an error",
    "# TYPE podskoop_netdev_receive_errors_total counter",
    'podskoop_netdev_receive_errors_total{node="n1",namespace="",pod=""} 3',
    'podskoop_netdev_receive_errors_total{node="n1",namespace="sh\\"op",pod="cart\\\\1\\n"} 5',
  ]);
});

Deno.test("expose adds labels of the pod, but not one that the metric has itself", () => {
  const collection = new Registry().begin();
  collection.declare("netdev", CARDS);
  const owner = { key: "q", namespace: "shop", pod: "cart", labels: { app: 'c"t', v: "2" } };
  collection.add("netdev_receive_errors_total", owner, [], 5);
  collection.add("netdev_receive_errors_total", HOST, [], 3);
  collection.add("tcpsummary_connections", owner, ["listen"], 2);
  const additional = new AdditionalLabels(["app=${labels:app}", "state=${labels:v}"]);
  const of = (names: "podskoop" | "kubeskoop") => {
    const format = { names: [names], openMetrics: false, node: "n1", additional };
    return new TextDecoder().decode(expose(collection, format)).split("\n")
      .filter((line) => /^[a-z]/.test(line));
  };
  const pod = 'node="n1",namespace="shop",pod="cart"';
  deepStrictEqual(of("podskoop"), [
    `podskoop_netdev_receive_errors_total{${pod},app="c\\"t",state="2"} 5`,
    'podskoop_netdev_receive_errors_total{node="n1",namespace="",pod=""} 3',
    `podskoop_tcpsummary_connections{${pod},app="c\\"t",state="listen"} 2`,
  ]);
  strictEqual(of("kubeskoop")[0]?.includes('k8s_pod="cart",app="c\\"t",state="2"}'), true);
});

Deno.test("expose leaves out a metric that has no sample", () => {
  strictEqual(text("podskoop").includes("unlisted"), false);
});

Deno.test(
  "the predecessor's names carry misprints beside the right spelling, and its " +
    "labels",
  () => {
    const lines = text("inspector").split("\n").filter((line) => /rxerror/.test(line));
    deepStrictEqual(
      lines.filter((line) => line.startsWith("inspector")).map((line) => line.split("{")[0]),
      [
        "inspector_pod_netdevrxerrors",
        "inspector_pod_netdevrxerrors",
        "inspector_pod_netdevrxerror",
        "inspector_pod_netdevrxerror",
      ],
    );
    strictEqual(lines.some((line) => line.includes('target_namespace=""')), true);
  },
);

Deno.test("an alias with where takes only the samples it means", () => {
  const lines = text("kubeskoop").split("\n");
  deepStrictEqual(lines.filter((line) => line.startsWith("kubeskoop_tcpsummary")), [
    'kubeskoop_tcpsummary_tcpestablishedconn{k8s_node="n1",k8s_namespace="sh\\"op",' +
    'k8s_pod="cart\\\\1\\n"} 7',
  ]);
});

Deno.test(
  "an alias drops labels the predecessor did not have, and adds up what becomes " +
    "alike",
  () => {
    const line = text("inspector").split("\n").find((line) =>
      line.startsWith("inspector_pod_softnet")
    );
    strictEqual(line?.endsWith("} 24"), true);
  },
);

Deno.test(
  "OpenMetrics names a counter's family without _total, types other counters " +
    "unknown, ends in EOF",
  () => {
    const own = text("podskoop", true);
    strictEqual(own.includes("# TYPE podskoop_netdev_receive_errors counter\n"), true);
    strictEqual(own.endsWith("# EOF\n"), true);
    strictEqual(
      text("kubeskoop", true).includes("# TYPE kubeskoop_netdev_rxerrors unknown\n"),
      true,
    );
  },
);

Deno.test(
  "an alias is in the predecessor's unit, without digits that rounding leaves " +
    "behind",
  () => {
    const collection = new Registry().begin();
    collection.declare("x", {
      x_wait_seconds_total: {
        type: "counter",
        help: "Waiting",
        unit: "seconds",
        alias: { kubeskoop: ["x_waitms"], times: 1_000 },
      },
    });
    collection.add("x_wait_seconds_total", HOST, [], 0.057);
    const bytes = expose(collection, { names: ["kubeskoop"], openMetrics: false, node: "n1" });
    strictEqual(new TextDecoder().decode(bytes).split("\n").at(2)?.split(" ").at(1), "57");
  },
);

Deno.test(
  "a histogram's buckets are cumulative, end in +Inf, and add up over what becomes " +
    "one series",
  () => {
    const collection = new Registry().begin();
    collection.declare("x", {
      x_latency_seconds: {
        type: "histogram",
        help: "Waiting",
        unit: "seconds",
        buckets: [0.001, 0.1],
      },
    });
    collection.observe("x_latency_seconds", HOST, [], { counts: [3, 2, 1], sum: 0.5 });
    collection.observe("x_latency_seconds", HOST, [], { counts: [1, 0, 4], sum: 1.5 });
    const bytes = expose(collection, { names: ["podskoop"], openMetrics: false, node: "n1" });
    const lines = new TextDecoder().decode(bytes).split("\n").map((line) =>
      line.replace('node="n1",namespace="",pod=""', "…")
    );
    deepStrictEqual(lines.slice(1), [
      "# TYPE podskoop_x_latency_seconds histogram",
      'podskoop_x_latency_seconds_bucket{…,le="0.001"} 4',
      'podskoop_x_latency_seconds_bucket{…,le="0.1"} 6',
      'podskoop_x_latency_seconds_bucket{…,le="+Inf"} 11',
      "podskoop_x_latency_seconds_sum{…} 2",
      "podskoop_x_latency_seconds_count{…} 11",
      "",
    ]);
  },
);

Deno.test("expose writes more than its first buffer holds, and letters of every length", () => {
  const collection = new Registry().begin();
  collection.declare("x", { x_total: { type: "counter", help: "Things" } });
  for (let pod = 0; pod < 5_003; pod++) {
    collection.add("x_total", { key: `${pod}`, namespace: "né日𝄞", pod: `${pod}` }, [], pod);
  }
  const bytes = expose(collection, { names: ["podskoop"], openMetrics: false, node: "n1" });
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  strictEqual(text.split("\n").length, 5_003 + 3);
  strictEqual(text.endsWith('namespace="né日𝄞",pod="5002"} 5002\n'), true);
});
