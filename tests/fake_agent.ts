/**
 * An agent that watches nothing: what routes are tested against.
 *
 * @module
 */
import type { Event } from "@agent/events/event.ts";
import type { Agent, EventFilter, EventPage, Subscription } from "@agent/surface.ts";

/** An event, the `number`-th; `part` replaces what a test is about. */
export function fakeEvent(number: number, part: Partial<Event> = {}): Event {
  return {
    id: String(number),
    time: new Date(1_780_000_000_000 + number * 1_000).toISOString().replace("Z", "000000Z"),
    node: "node-a",
    probe: "tcpreset",
    type: "TCPRESET_NOSOCK",
    severity: "warning",
    pod: { kind: "pod", namespace: "shop", name: "cart-7f9c" },
    source: { address: "10.0.0.7", port: 49152 },
    destination: { address: "10.0.0.9", port: 80 },
    network: { transport: "tcp", type: "ipv4", interface: "eth0", netns: 4026532177 },
    attributes: { direction: "sent" },
    count: 1,
    message: "Sent a reset as no socket has the port",
    ...part,
  };
}

type Item = { readonly event?: Event; readonly lost?: number };

/**
 * An agent with what a test gives it. Its events are in memory; `publish` tells subscribers too.
 */
export class FakeAgent implements Agent {
  readonly kept: Event[] = [];
  /** What each part of the agent was last asked. */
  readonly asked: Record<string, unknown> = {};
  readonly #subscribers = new Map<ReadableStreamDefaultController<Item>, EventFilter>();
  text = "podskoop_up 1\n";
  waiting: string | undefined;
  configText = "listen: 0.0.0.0:9102\n";

  /** Open subscriptions. */
  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Keeps an event and hands it to whoever wants it. */
  publish(event: Event): void {
    this.kept.push(event);
    for (const [controller, filter] of this.#subscribers) {
      if (matches(event, filter)) controller.enqueue({ event });
    }
  }

  /** Tells subscribers that they were too slow. */
  lose(lost: number): void {
    for (const controller of this.#subscribers.keys()) controller.enqueue({ lost });
  }

  exposition(
    ...[names, openMetrics]: Parameters<Agent["exposition"]>
  ): Promise<Uint8Array<ArrayBuffer>> {
    this.asked["exposition"] = { names, openMetrics };
    return Promise.resolve(new Uint8Array(new TextEncoder().encode(this.text)));
  }

  status(): ReturnType<Agent["status"]> {
    return {
      available_probes: {
        event: ["tcpreset", "packetloss"],
        metrics: ["netdev", "tcp", "io", "softnet", "packetloss", "tcpreset"],
      },
      inuse_probes: {
        event: [
          { name: "tcpreset", state: "Running", hooks: "tcpreset" },
          {
            name: "packetloss",
            state: "Degraded",
            because: "Drops before 5.17 have no reason",
            hooks: "packetloss_raw",
            passedOver: [{
              hooks: "packetloss",
              because: "kfree_skb has 2 arguments, 3 are needed",
            }],
          },
        ],
        metrics: [
          { name: "netdev", state: "Running" },
          { name: "tcp", state: "Running" },
          { name: "softnet", state: "Failed", because: "Cannot read /proc/net/softnet_stat" },
          { name: "packetloss", state: "Degraded", because: "Drops before 5.17 have no reason" },
        ],
      },
      version: "1.2.3",
      node: "node-a",
      kernel: { release: "6.1.0-18-amd64", btf: true },
      started: "2026-01-31T09:30:00Z",
      namespaces: 3,
      pods: 1,
      sources: [{ name: "cgroup", state: "Running" }],
      sinks: [{ name: "stderr", state: "Running", delivered: 23, lost: 0 }],
      store: { name: "store", state: "Running", events: 23, bytes: 8192 },
      config: { origin: "defaults" },
      missing: [{ what: "conntrack", disables: "conntrack", remedy: "apt-get install conntrack" }],
    };
  }

  notReady(): string | undefined {
    return this.waiting;
  }

  pods(): ReturnType<Agent["pods"]> {
    return [{
      kind: "pod",
      namespace: "shop",
      name: "cart-7f9c",
      uid: "0b2e5c9e-6f0e-4f2b-9c57-3f1f7c1f0a11",
      labels: { app: "cart" },
      netns: 4026532177,
      netnsCookie: "4098",
      addresses: ["10.0.0.7", "fd00::7"],
      pids: [4711],
      containerIds: ["5f7c"],
      runtime: "containerd",
    }];
  }

  events(filter: EventFilter): EventPage {
    this.asked["events"] = filter;
    const found = this.kept.filter((event) => matches(event, filter));
    const limit = filter.limit ?? 100;
    const events = found.slice(-limit);
    const [first] = events;
    return found.length > limit && first !== undefined ? { events, cursor: first.id } : { events };
  }

  subscribe(filter: EventFilter): Subscription {
    this.asked["subscribe"] = filter;
    let own: ReadableStreamDefaultController<Item> | undefined;
    const events = new ReadableStream<Item>({
      start: (controller) => {
        own = controller;
        this.#subscribers.set(controller, filter);
      },
    });
    return {
      events,
      close: () => {
        if (own !== undefined && this.#subscribers.delete(own)) own.close();
      },
    };
  }

  config(): ReturnType<Agent["config"]> {
    return { text: this.configText, origin: "defaults" };
  }

  configure(text: string): ReturnType<Agent["configure"]> {
    if (text.includes("wrong")) {
      return Promise.resolve({ ok: false, errors: ['Cannot use "wrong": there is no such key'] });
    }
    this.configText = text;
    return Promise.resolve({ ok: true, changed: ["packetloss"], warnings: [] });
  }
}

function matches(event: Event, filter: EventFilter): boolean {
  const { since, until, type, namespace, pod, node, before, after } = filter;
  const at = Date.parse(event.time);
  return (since === undefined || at >= since) && (until === undefined || at < until) &&
    (type === undefined || type.includes(event.type)) &&
    (namespace === undefined || event.pod?.namespace === namespace) &&
    (pod === undefined || event.pod?.name === pod) &&
    (node === undefined || event.node === node) &&
    (before === undefined || Number(event.id) < Number(before)) &&
    (after === undefined || Number(event.id) > Number(after));
}
