// testdata/: Linux 6.12.107; `cat /sys/class/infiniband/rxe0/ports/1/hw_counters/*` and
// `rdma -j resource show` on a software device. The capture `mlx5` is no capture: names of two
// cards' drivers with made-up figures, for want of such cards.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import rdma from "./rdma.ts";

Deno.test("rdma has each counter of a device, and no setting", () => {
  const values = valuesOf(rdma, captured(rdma, "host"));
  const of = (counter: string) =>
    values.get(`rdma_counter_total{counter=${counter},device=rxe0,device_port=1,type=other}`);
  assert.equal(of("rcvd_pkts"), 0);
  assert.equal(of("ack_deferred"), 0);
  assert.equal(of("lifespan"), undefined);
  const counters = [...values.keys()].filter((key) => key.startsWith("rdma_counter_total"));
  assert.equal(counters.length, 15);
});

Deno.test("rdma counts bytes and packets in one unit, whatever the card's own is", () => {
  const values = valuesOf(rdma, captured(rdma, "mlx5"));
  const of = (metric: string, type: string) =>
    values.get(`rdma_${metric}_total{device=${type}_0,device_port=1,type=${type}}`);
  assert.equal(of("received_bytes", "mlx5"), 4 * 1009);
  assert.equal(of("sent_bytes", "mlx5"), 4 * 2003);
  assert.equal(of("received_packets", "mlx5"), 101);
  assert.equal(of("sent_packets", "mlx5"), 103);
  assert.equal(of("received_bytes", "erdma"), 7001);
  assert.equal(of("sent_bytes", "erdma"), 9001);
  assert.equal(of("received_packets", "erdma"), 11);
  assert.equal(of("sent_packets", "erdma"), 13);
});

Deno.test("rdma has the resources that are open, and does without the tool", () => {
  const files = captured(rdma, "mlx5");
  const wanted = { pd: 3, cq: 5, qp: 7, cm_id: 11, mr: 13, ctx: 2, srq: 1 };
  const values = valuesOf(rdma, files);
  for (const [resource, value] of Object.entries(wanted)) {
    const key = `rdma_resources{device=mlx5_0,resource=${resource},type=mlx5}`;
    assert.equal(values.get(key), value, resource);
  }
  const without = valuesOf(rdma, { ...files, "rdma/resources": "" });
  assert.equal(without.size, values.size - 7);
});

Deno.test("rdma says what makes no sense", () => {
  const files = captured(rdma, "mlx5");
  const counters = files["rdma/counters"];
  const cases: readonly (readonly [Partial<typeof files>, RegExp])[] = [
    [{ "rdma/counters": "" }, /^Cannot parse line 1 of "rdma\/counters": the file is empty$/],
    [{ "rdma/counters": counters.replace("device", "dev") }, /line 1 .*: expected the heading/],
    [{ "rdma/counters": counters.replace("7001", "7x") }, /line 2 .*: expected a number/],
    [{ "rdma/counters": counters.replace("_0 1", "_0 1 1") }, /line 2 .*: expected four words/],
    [{ "rdma/resources": "{}" }, /line 1 of "rdma\/resources": expected a list, found "{}"$/],
    [{ "rdma/resources": "[{}]" }, /: a row has no device's name$/],
    [{ "rdma/resources": "[" }, /^Cannot parse line 1 .*JSON/],
  ];
  for (const [wrong, message] of cases) {
    assert.throws(() => valuesOf(rdma, { ...files, ...wrong }), { name: "SyntaxError", message });
  }
});
