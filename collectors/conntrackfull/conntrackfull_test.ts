// testdata/: Linux 6.18.44; `conntrack -S` and `conntrack -C` said the same in the namespaces.
import { deepEqual, equal, throws } from "node:assert/strict";
import { captured } from "../../tests/captures.ts";
import conntrackfull from "./conntrackfull.ts";

const FILE = "netlink/conntrack";

function changes(before: string, after: string) {
  return conntrackfull.watch?.changes({ [FILE]: before }, { [FILE]: after }) ?? [];
}

function text(entries: number, drop: number, early: number): string {
  return `entries ${entries}\nmaxentries 100\ndrop ${drop}\nearly_drop ${early}\n`;
}

Deno.test("conntrackfull says how many packets a full table has cost since the last look", () => {
  deepEqual(changes(text(100, 3, 0), text(100, 26, 0)), [{
    type: "CONNTRACK_FULL",
    severity: "error",
    attributes: { packets: 23, connections: 0, entries: 100, entries_max: 100 },
    message: "The table of tracked connections is full",
  }]);
});

Deno.test("conntrackfull takes connections thrown out for a full table, at any size", () => {
  const [change] = changes(text(20, 3, 5), text(20, 3, 22));
  equal(change?.type, "CONNTRACK_FULL");
  equal(change?.severity, "warning");
  deepEqual(change?.attributes, { packets: 0, connections: 17, entries: 20, entries_max: 100 });
});

Deno.test("conntrackfull tells other causes apart by how full the table is and was", () => {
  equal(changes(text(20, 3, 0), text(20, 10, 0))[0]?.type, "CONNTRACK_DROP");
  equal(changes(text(95, 3, 0), text(20, 10, 0))[0]?.type, "CONNTRACK_FULL");
});

Deno.test("conntrackfull is silent while nothing is lost, and follows a counter around", () => {
  deepEqual(changes(text(100, 3, 4), text(100, 3, 4)), []);
  const [change] = changes(text(100, 2 ** 32 - 3, 0), text(100, 4, 0));
  equal(change?.attributes?.["packets"], 7);
});

Deno.test("conntrackfull takes figures that are suddenly less for another namespace's", () => {
  deepEqual(changes(text(100, 7_919, 13), text(100, 3, 0)), []);
});

Deno.test("conntrackfull reads captures, and throws for what makes no sense", () => {
  const { [FILE]: netns } = captured(conntrackfull, "netns");
  deepEqual(changes(netns, netns), []);
  throws(() => changes(netns, "drop many\n"), SyntaxError);
});

Deno.test("conntrackfull's examples are what it says of such figures", () => {
  const examples = conntrackfull.watch?.examples ?? [];
  deepEqual(examples.slice(0, 1), changes(text(100, 3, 0), text(100, 26, 0)));
  deepEqual(examples.slice(1, 2), changes(text(100, 0, 5), text(100, 0, 22)));
  deepEqual(examples.slice(2), changes(text(20, 0, 0), text(20, 3, 0)));
});
