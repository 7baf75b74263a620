import assert from "node:assert/strict";
import { madeEvent } from "../../tests/made_events.ts";
import type { Event } from "./event.ts";
import { lineOf } from "./text.ts";

const reset = (changes: Partial<Event> = {}): Event => ({ id: "1", ...madeEvent(), ...changes });

Deno.test("a line is the one that the predecessors' documents show", () => {
  assert.equal(
    lineOf(reset({
      pod: {
        kind: "pod",
        namespace: "kube-system",
        name: "storage-monitor-5775dfdc77-fj767",
      },
      source: { address: "100.103.42.233", port: 443 },
      destination: { address: "10.1.17.188", port: 33488 },
    })),
    "type=TCPRESET_NOSOCK pod=storage-monitor-5775dfdc77-fj767 namespace=kube-system " +
      "protocol=TCP saddr=100.103.42.233 sport=443 daddr=10.1.17.188 dport=33488",
  );
});

Deno.test("a line with a stack is the one that the predecessors' documents show", () => {
  const { pod: _pod, ...rest } = reset();
  assert.equal(
    lineOf({
      ...rest,
      type: "PACKETLOSS",
      pod: { kind: "host", namespace: "", name: "" },
      source: { address: "10.1.17.172", port: 6443 },
      destination: { address: "10.1.17.176", port: 43018 },
      stack: ["skb_release_data+0xa3", "__kfree_skb+0xe", "tcp_recvmsg+0x61d"],
    }),
    "type=PACKETLOSS pod=hostNetwork namespace=hostNetwork protocol=TCP saddr=10.1.17.172 " +
      "sport=6443 daddr=10.1.17.176 dport=43018  " +
      "stacktrace:skb_release_data+0xA3 __kfree_skb+0xE tcp_recvmsg+0x61D",
  );
});

Deno.test("a count stands before the stack, because all after stacktrace: are frames", () => {
  const line = lineOf(reset({ count: 23, stack: ["a+0x1", "nf_hook+0xab [nf_tables]"] }));
  assert.match(line, / dport=40001 count=23 {2}stacktrace:a\+0x1 nf_hook\+0xAB\[nf_tables\]$/);
  assert.doesNotMatch(lineOf(reset()), /count=/);
});

Deno.test("IPv6 addresses stand as they are, and a port that is unknown is 0", () => {
  const line = lineOf(reset({
    source: { address: "fd00::1" },
    destination: { address: "2001:db8::2", port: 53 },
    network: { transport: "udp", type: "ipv6", netns: 1 },
  }));
  assert.match(line, / protocol=UDP saddr=fd00::1 sport=0 daddr=2001:db8::2 dport=53$/);
});

Deno.test("an event without addresses shows its interface, process and attributes", () => {
  const { source: _source, destination: _destination, pod: _pod, ...rest } = reset();
  assert.equal(
    lineOf({
      ...rest,
      type: "SOFTIRQ_SCHED_SLOW",
      network: { interface: "eth0", netns: 1 },
      process: { pid: 7, comm: "ksoftirqd/0" },
      attributes: { cpu: 3, delay_ns: 12_000_000 },
    }),
    "type=SOFTIRQ_SCHED_SLOW pod=unknown namespace=unknown interface=eth0 pid=7 " +
      "comm=ksoftirqd/0 cpu=3 delay_ns=12000000",
  );
});

Deno.test("hostile names forge no field, no frame and no second line", () => {
  const hostile = 'x type=A\nsaddr=1.2.3.4\u001b[2J  stacktrace:b \u202e\u009bstacktrace:c\\"';
  const line = lineOf(reset({ pod: { kind: "netns", namespace: hostile, name: hostile } }));
  assert.equal(line.match(/type=/g)?.length, 1);
  assert.equal(line.match(/saddr=/g)?.length, 1);
  assert.doesNotMatch(line, /stacktrace:/);
  // deno-lint-ignore no-control-regex -- control characters are what this is about
  assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u202e]/);
  assert.equal(line.split(" ").length, 8);
});

Deno.test("a name of 3,000 characters is cut, because a line has to end somewhere", () => {
  const line = lineOf(reset({ pod: { kind: "netns", namespace: "a", name: "b".repeat(3_000) } }));
  assert.equal(/ pod=(b+) /.exec(line)?.[1]?.length, 512);
});
