import assert from "node:assert/strict";
import { axisEnd, MessageReader, ratesOf, readMetrics, wordBytes, wordNumber } from "./metrics.js";

const WANTED = new Map([
  ["podskoop_packetloss_packets_total", "drops"],
  ["podskoop_tcp_retrans_segs_total", "retransmits"],
]);

/** The figures of each pod, plainly. */
function figures(pods: ReturnType<typeof readMetrics>): Record<string, Record<string, number>> {
  return Object.fromEntries([...pods].map(([key, row]) => [key, Object.fromEntries(row.figures)]));
}

Deno.test("readMetrics adds up one pod's samples, whatever its other labels hold", () => {
  const pods = readMetrics(
    [
      "# HELP podskoop_packetloss_packets_total Packets",
      "# TYPE podskoop_packetloss_packets_total counter",
      'podskoop_packetloss_packets_total{node="n",namespace="a",pod="p",reason="x} 9,\\"{"} 7',
      'podskoop_packetloss_packets_total{node="n",namespace="a",pod="p",reason="y\\\\"} 1.6e1',
      'podskoop_packetloss_packets_total{reason="z",pod="",namespace="",node="n"} 3 1700000000000',
      'podskoop_tcp_retrans_segs_total{node="n",namespace="a",pod="p"} 5',
      'podskoop_tcp_retrans_segs_total{node="n",namespace="a",pod="q"} NaN',
      'podskoop_other_total{node="n",namespace="a",pod="p"} 11',
      "process_cpu_seconds_total 13",
      "garbage{",
      "",
    ].join("\n"),
    WANTED,
  );
  assert.deepEqual(figures(pods), { "a/p": { drops: 23, retransmits: 5 }, "/": { drops: 3 } });
  assert.deepEqual([pods.get("a/p")?.namespace, pods.get("a/p")?.pod], ["a", "p"]);
});

Deno.test("ratesOf divides by time, starts anew with a counter, and waits for a new pod", () => {
  const reading = (drops: number, pod: string) =>
    `podskoop_packetloss_packets_total{namespace="a",pod="${pod}"} ${drops}\n`;
  const before = readMetrics(reading(100, "grows") + reading(100, "restarts"), WANTED);
  const after = readMetrics(
    reading(107, "grows") + reading(10, "restarts") + reading(50, "new") +
      'podskoop_tcp_retrans_segs_total{namespace="a",pod="grows"} 20\n',
    WANTED,
  );
  assert.deepEqual(figures(ratesOf(before, after, 5)), {
    "a/grows": { drops: 1.4, retransmits: 4 },
    "a/restarts": { drops: 2 },
    "a/new": {},
  });
});

Deno.test("figures are worded with the digits that matter", () => {
  const cases: [number, string][] = [
    [0, "0"],
    [0.01, "<0.1"],
    [0.5, "0.5"],
    [1, "1"],
    [2.345, "2.35"],
    [12.34, "12.3"],
    [999.4, "999"],
    [12_345, "12.3k"],
    [1_234_567, "1235k"],
  ];
  for (const [value, expected] of cases) assert.equal(wordNumber(value), expected);
  assert.deepEqual(wordBytes(999), ["999", "B/s"]);
  assert.deepEqual(wordBytes(999.9), ["1", "kB/s"]);
  assert.deepEqual(wordBytes(1_250_000), ["1.25", "MB/s"]);
  assert.deepEqual(wordBytes(3e15), ["3000", "TB/s"]);
});

Deno.test("an axis ends at a round number that is not less than what it shows", () => {
  assert.deepEqual([0, 1, 1.1, 7, 99, 100, 101, 4_567].map(axisEnd), [
    1,
    1,
    1.2,
    8,
    100,
    100,
    120,
    5_000,
  ]);
});

Deno.test("messages come out whole, however the stream is cut", () => {
  const stream =
    'retry: 3000\n\nid: 7\ndata: {"a":\ndata: 1}\n\n: heartbeat\n\nevent: lost\ndata: {}\n\n';
  const expected = [
    { type: "message", id: "7", data: '{"a":\n1}' },
    { type: "lost", id: "", data: "{}" },
  ];
  for (const size of [1, 3, 7, stream.length]) {
    const reader = new MessageReader();
    const messages = [];
    for (let start = 0; start < stream.length; start += size) {
      messages.push(...reader.read(stream.slice(start, start + size)));
    }
    assert.deepEqual(messages, expected);
  }
});
