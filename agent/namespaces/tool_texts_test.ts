// What the tools print: iproute2 6.1.0, conntrack 1.4.7 and ipvsadm 1.31 on Linux 6.18 and 6.12.
import assert from "node:assert/strict";
import {
  conntrackText,
  filesIn,
  interfacesOf,
  ipvsText,
  listsServers,
  qdiscText,
  ToolError,
} from "./tool_texts.ts";

Deno.test("files are told apart by their headings, whatever they end with", () => {
  const paths = ["/proc/self/a", "/proc/self/b", "/proc/self/c", "/proc/self/d"];
  const text =
    "==> /proc/self/a <==\none\n\n\n==> /proc/self/c <==\n\n==> /proc/self/d <==\nno end";
  assert.deepEqual([...filesIn(text, paths)], [
    ["/proc/self/a", "one\n\n"],
    ["/proc/self/c", ""],
    ["/proc/self/d", "no end"],
  ]);
  assert.deepEqual([...filesIn("", paths)], []);
  assert.deepEqual([...filesIn("==> /proc/self/b <==\n", paths)], [["/proc/self/b", ""]]);
  assert.deepEqual([...filesIn("stray ==> /proc/self/b <==\n", paths)], []);
});

const SENT = '"bytes":1,"packets":2';
const FIGURES = '"drops":3,"overlimits":5,"requeues":7,"backlog":11,"qlen":13';
const OPTIONS = '"options":{"default":"0x1","drops":99}';

Deno.test("tc's queueing disciplines are those of the table", () => {
  const text = qdiscText(
    `[{"kind":"htb","handle":"1:","dev":"v0","root":true,"refcnt":3,${OPTIONS},` +
      `"bytes":9007199254740991,"packets":2,${FIGURES}},` +
      `{"kind":"fq_codel","handle":"2a:","dev":"v0","parent":"1:10",${SENT},${FIGURES}},` +
      `{"kind":"pfifo_fast","handle":"0:","dev":"e0","parent":":1",${SENT},${FIGURES}},` +
      `{"kind":"clsact","handle":"ffff:","dev":"v0","parent":"ffff:fff1","bytes":0,"packets":0,` +
      `"drops":0,"overlimits":0,"requeues":0,"backlog":0,"qlen":0}]\n`,
  );
  assert.deepEqual(text.split("\n"), [
    "device kind handle parent bytes packets drops overlimits requeues qlen backlog",
    "v0 htb 10000 ffffffff 9007199254740991 2 3 5 7 13 11",
    "v0 fq_codel 2a0000 10010 1 2 3 5 7 13 11",
    "e0 pfifo_fast 0 1 1 2 3 5 7 13 11",
    "v0 clsact ffff0000 fffffff1 0 0 0 0 0 0 0",
    "",
  ]);
});

Deno.test("conntrack's counters are summed over the processors", () => {
  const statistics = "cpu=0   \tfound=2 invalid=3 insert_failed=5 \n" +
    "cpu=1   \tfound=7 invalid=11 insert_failed=4294967295 \n";
  assert.equal(
    conntrackText("17\n", "262144\n", statistics),
    "entries 17\nmaxentries 262144\nfound 9\ninvalid 14\ninsert_failed 4294967300\n",
  );
});

const LISTED = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr
  -> 0A010001:192B      Masq    1      0          0
  -> 0A010002:192B      Route   1      0          0
UDP  [fd00:0096:0000:0000:0000:0000:0000:0001]:0035 rr
  -> [fd00:0096:0000:0000:0000:0000:0000:00ff]:14E9      Tunnel  1      0          0
FWM  000000AB rr
  -> 0A010002:0000      Local   1      0          0
`;

Deno.test("ipvsadm's servers are those of the table, with how each is reached", () => {
  assert.equal(listsServers(LISTED), true);
  assert.equal(listsServers(LISTED.split("\n").slice(0, 3).join("\n")), false);
  const text = ipvsText(
    LISTED,
    `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  10.96.0.1:443                      11       66       55     4000     5000
  -> 10.1.0.1:6443                       6       36       30     2200     2700
  -> 10.1.0.2:6443                       5       30       25     1800     2300
UDP  [fd00:96::1]:53                    13       13        0      650        0
  -> [fd00:96::ff]:5353                 13       13        0      650        0
FWM  171                                 7       14       21       28 18446744073709551614
  -> 10.1.0.2:0                          7       14       21       28       35
`,
  );
  assert.deepEqual(text.split("\n"), [
    "Prot LocalAddress:Port Conns InPkts OutPkts InBytes OutBytes",
    "TCP 0A600001:01BB 11 66 55 4000 5000",
    "-> 0A010001:192B Masq 6 36 30 2200 2700",
    "-> 0A010002:192B Route 5 30 25 1800 2300",
    "UDP [fd00:0096:0000:0000:0000:0000:0000:0001]:0035 13 13 0 650 0",
    "-> [fd00:0096:0000:0000:0000:0000:0000:00ff]:14E9 Tunnel 13 13 0 650 0",
    "FWM 000000AB 7 14 21 28 18446744073709551614",
    "-> 0A010002:0000 Local 7 14 21 28 35",
    "",
  ]);
});

Deno.test("ip's devices are netlink's", () => {
  const interfaces = interfacesOf(
    '[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP"],"addr_info":[' +
      '{"family":"inet","local":"127.0.0.1","prefixlen":8},{"family":"inet6","local":"::1"}]},' +
      '{"ifindex":2,"ifname":"v0","flags":["UP"],"linkinfo":{"info_kind":"veth"},"addr_info":[' +
      '{"family":"inet","local":"10.88.0.1","address":"10.88.0.2"}]},' +
      '{"ifindex":3,"ifname":"t0","flags":[],"linkinfo":{}}]',
  );
  assert.deepEqual(interfaces, [
    { index: 1, name: "lo", loopback: true, addresses: ["127.0.0.1", "::1"] },
    { index: 2, name: "v0", kind: "veth", loopback: false, addresses: ["10.88.0.1"] },
    { index: 3, name: "t0", loopback: false, addresses: [] },
  ]);
});

Deno.test("what a tool prints that makes no sense is said", () => {
  const wrongs: readonly (readonly [() => unknown, RegExp])[] = [
    [() => qdiscText("[{"), /^Cannot read what "tc" prints: /],
    [() => qdiscText('[{"kind":"htb"}]'), /^Cannot read what "tc" prints: .*"?dev"?/],
    [
      () => qdiscText(`[{"kind":"x","dev":"e0","handle":"q:","bytes":1,"packets":2,${FIGURES}}]`),
      /"tc" prints: found "q:"$/,
    ],
    [() => conntrackText("1", "2", "found=1"), /"conntrack" prints: found "found=1"$/],
    [() => conntrackText("1", "2", "cpu=0 found=x"), /"conntrack" prints: found "cpu=0 found=x"$/],
    [() => ipvsText(LISTED, "a\nb\nc\nTCP 10.0.0.1:80 1 2 3 4"), /"ipvsadm" prints: found /],
    [() => ipvsText(LISTED, "a\nb\nc\nTCP 10.0.0.1 1 2 3 4 5"), /found "10.0.0.1"$/],
    [() => interfacesOf("{}"), /^Cannot read what "ip" prints: /],
  ];
  for (const [wrong, said] of wrongs) {
    assert.throws(wrong, (error) => error instanceof ToolError && said.test(error.message));
  }
});
