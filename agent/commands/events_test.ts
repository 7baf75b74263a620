import assert from "node:assert/strict";
import { fakeEvent } from "../../tests/fake_agent.ts";
import type { Event } from "../events/event.ts";
import { FakeTerminal, serveUnix } from "../../tests/fake_terminal.ts";
import { events, eventsCommand, type EventsOptions } from "./events.ts";
import { eventText } from "./event_text.ts";
import { readMessages } from "./messages.ts";

const NARROW = { columns: 80, colour: false };

function hostile(): Event {
  return fakeEvent(1, {
    pod: { kind: "process", namespace: "process", name: "\x1b[31mevil\x07-1" },
    message: "Sent\x1b]0;title\x07 a reset\u202e",
  });
}

Deno.test("an event takes a few lines of 80 columns on a terminal, one elsewhere", () => {
  const event = fakeEvent(1, {
    source: { address: "2001:db8:1:2:3:4:5:6", port: 49152 },
    destination: {
      address: "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff",
      port: 443,
      service: { namespace: "shop", name: "a-service-with-a-long-name" },
    },
    attributes: { reason: "NO_SOCKET", location: "ipv6:tcp_v6_rcv+0x1F" },
    count: 17,
    message: "The kernel dropped a packet: NO_SOCKET",
  });
  const [first = "", ...others] = eventText(event, NARROW).split("\n");
  assert.match(first, /^\d\d-\d\d \d\d:\d\d:\d\d\.000 /);
  assert.equal(first.slice(18), "  TCPRESET_NOSOCK     shop/cart-7f9c  ×17");
  assert.deepEqual(others, [
    "  [2001:db8:1:2:3:4:5:6]:49152",
    "  → [2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:443",
    "    (shop/a-service-with-a-long-name)",
    "  The kernel dropped a packet: NO_SOCKET, in ipv6:tcp_v6_rcv",
    "",
  ]);
  const whole = eventText(event, { columns: undefined, colour: false });
  assert.equal(whole.split("\n").length, 2);
  assert(whole.endsWith(
    ":443 (shop/a-service-with-a-long-name)  " +
      "The kernel dropped a packet: NO_SOCKET, in ipv6:tcp_v6_rcv\n",
  ));
  assert.equal(eventText(fakeEvent(1), NARROW).split("\n").length, 3);
  assert.equal(eventText(event, { columns: 140, colour: false }).split("\n").length, 4);
});

Deno.test("nothing of an event is cut off, however long its names and narrow the terminal", () => {
  const name = "a-deployment-with-a-long-name-7f9c6d5b8-x2x9z";
  const pod = { namespace: "a-team-s-own-namespace-in-production", name };
  const event = fakeEvent(1, {
    pod: { kind: "pod", ...pod },
    source: { address: "2001:db8:1:2:3:4:5:6", port: 49152, pod },
    destination: { address: "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", port: 443, pod },
    count: 17,
  });
  const words = (columns?: number) => eventText(event, { columns, colour: false }).split(/\s+/);
  for (const columns of [40, 80, 139, 140, 200]) assert.deepEqual(words(columns), words());
  for (const line of eventText(event, { columns: 100, colour: false }).split("\n")) {
    assert([...line].length <= 100, line);
  }
});

Deno.test("the reason is said once, and the place only where it has a name", () => {
  const text = (attributes: Event["attributes"], message: string) =>
    eventText(fakeEvent(1, { attributes, message }), { columns: undefined, colour: false })
      .split("  ").at(-1);
  assert.equal(
    text({ reason: "XDP" }, "A rule dropped a packet: XDP"),
    "A rule dropped a packet: XDP\n",
  );
  assert.equal(text({ reason: "XDP" }, "A packet is lost"), "A packet is lost: XDP\n");
  for (const location of ["?", "0xFFFFFFFF81000000"]) {
    assert.equal(text({ location }, "A packet is lost"), "A packet is lost\n");
  }
});

Deno.test("what a terminal would act on is made printable", () => {
  for (const columns of [80, 200, undefined]) {
    const text = eventText(hostile(), { columns, colour: false });
    assert.doesNotMatch(text.replaceAll("\n", ""), /\p{C}/u);
  }
});

Deno.test("an event's severity is its colour, and only where there is colour", () => {
  assert(eventText(fakeEvent(1), { columns: 80, colour: true }).includes("\x1b[33mTCPRESET"));
  assert(!eventText(fakeEvent(1), NARROW).includes("\x1b"));
});

Deno.test("a stream's messages are read whatever the pieces it comes in", async () => {
  const text = "retry: 3000\n\n: note\n\nid: 7\ndata: {\ndata: }\n\r\nevent: lost\rdata:1\r\n\r\n" +
    "id: 8\ndata: cut";
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 7, 1_000]) {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) {
          controller.enqueue(bytes.slice(at, at + size));
        }
        controller.close();
      },
    });
    assert.deepEqual(await Array.fromAsync(readMessages(body)), [
      { type: "message", data: "{\n}", id: "7" },
      { type: "lost", data: "1", id: "7" },
    ], `in pieces of ${size}`);
  }
});

Deno.test("past events are asked for with every filter, and printed in each form", async () => {
  const asked: string[] = [];
  const kept = [fakeEvent(1), hostile(), fakeEvent(3)];
  await using agent = serveUnix((request) => {
    asked.push(new URL(request.url).pathname + new URL(request.url).search);
    return Response.json({ events: kept, cursor: "1" });
  });
  const ask = async (options: Partial<EventsOptions>) => {
    const terminal = new FakeTerminal();
    await events({ agent: { unix: agent.path }, ...options }, terminal);
    return terminal;
  };
  const json = await ask({
    json: true,
    since: "10m",
    until: "1m",
    type: ["A", "B"],
    pod: "shop/cart",
    namespace: "shop",
    node: "n",
    limit: 3,
  });
  assert.equal(
    asked[0],
    "/events?since=10m&namespace=shop&pod=shop%2Fcart&node=n&until=1m&limit=3&type=A&type=B",
  );
  assert.deepEqual(json.stdout.trim().split("\n").map((line) => JSON.parse(line)), kept);
  assert.match(json.stderr, /These are the newest 3/);
  const text = await ask({ text: true });
  assert.equal(
    text.stdout.split("\n")[0],
    "type=TCPRESET_NOSOCK pod=cart-7f9c namespace=shop protocol=TCP saddr=10.0.0.7 sport=49152 " +
      "daddr=10.0.0.9 dport=80",
  );
  const table = await ask({});
  assert.equal(table.stdout.trim().split("\n").length, 3);
});

Deno.test("options that contradict each other are misuse", async () => {
  const agent = { unix: "/nowhere" };
  const terminal = new FakeTerminal();
  await assert.rejects(events({ agent, json: true, text: true }, terminal), { exitCode: 2 });
  await assert.rejects(events({ agent, follow: true, until: "1m" }, terminal), { exitCode: 2 });
});

Deno.test("a type that no event has is told, with what was probably meant", async () => {
  const said = async (...types: readonly string[]) => {
    const terminal = new FakeTerminal();
    const args = types.flatMap((type) => ["--type", type]);
    await assert.rejects(
      eventsCommand(terminal).parseAsync([...args, "--agent", "unix:/nowhere/s"], { from: "user" }),
      /Cannot reach the agent/,
    );
    return terminal.stderr;
  };
  assert.equal(await said("PACKETLOSS", "tcp_nosock", "conntracknew"), "");
  assert.equal(
    await said("PACKETLOS"),
    'No event of this podskoop\'s has the type "PACKETLOS": did you mean "PACKETLOSS"?\n',
  );
});

function frame(event: Event): string {
  return `id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`;
}

Deno.test("following goes on after a restart, from the last event seen", async () => {
  const resumed: (string | null)[] = [];
  const answers = [
    frame(fakeEvent(1)) + 'event: lost\ndata: {"lost":5,"because":"5 events were lost"}\n\n',
    frame(fakeEvent(2)) + frame(fakeEvent(3)),
  ];
  const answer = (request: Request) => {
    resumed.push(request.headers.get("last-event-id"));
    return new Response(answers.shift() ?? "", {
      headers: { "content-type": "text/event-stream" },
    });
  };
  const first = serveUnix(answer);
  const terminal = new FakeTerminal();
  const agent = { unix: first.path };
  const done = events({ agent, follow: true, since: "5m", json: true, limit: 3 }, terminal);
  await terminal.until(() => terminal.stderr.includes("Lost the agent"));
  await first[Symbol.asyncDispose]();
  await new Promise((resolve) => setTimeout(resolve, 600));
  await using _second = serveUnix(answer, first.path);
  await done;
  const ids = terminal.stdout.trim().split("\n").map((line) => JSON.parse(line).id);
  assert.deepEqual(ids, ["1", "2", "3"]);
  assert.deepEqual(resumed, [null, "1"]);
  assert.match(terminal.stderr, /^5 events were lost\nLost the agent at .*\nFollowing .* again\n$/);
});

Deno.test("following says so where somebody looks, so an empty screen is no riddle", async () => {
  await using agent = serveUnix(() => new Response(frame(fakeEvent(1))));
  const options = { agent: { unix: agent.path }, follow: true, limit: 1 };
  const looked = new FakeTerminal(80);
  await events(options, looked);
  assert.equal(looked.stderr, `Following ${agent.path}; Ctrl-C ends\n`);
  const piped = new FakeTerminal();
  await events(options, piped);
  assert.equal(piped.stderr, "");
});

Deno.test("following an agent that was never there fails at once", async () => {
  await assert.rejects(
    events({ agent: { unix: "/nowhere/podskoop.sock" }, follow: true }, new FakeTerminal()),
    { message: /"\/nowhere\/podskoop\.sock" is not there: start it with `podskoop agent`/ },
  );
});
