import { deepEqual, equal, ok } from "node:assert/strict";
import { unchangedParts, unloadStartCode } from "./own_memory.ts";

const SMAPS = `
5601a000-5601c000 r--p 00000000 fe:00 7                          /usr/bin/podskoop (deleted)
Rss:                   8 kB
Anonymous:             0 kB
AnonHugePages:         0 kB
5601c000-5601f000 r-xp 00002000 fe:00 7                          /usr/bin/podskoop (deleted)
Anonymous:             0 kB
5601f000-56020000 r--p 00005000 fe:00 7                          /usr/bin/podskoop (deleted)
Anonymous:             4 kB
56020000-56021000 rw-p 00006000 fe:00 7                          /usr/bin/podskoop (deleted)
Anonymous:             0 kB
56021000-56022000 r--p 00006000 fe:00 9                          /usr/bin/other
Anonymous:             0 kB
56022000-56023000 r--p 00000000 00:00 0 
Anonymous:             0 kB
`.slice(1);

Deno.test("only parts of the file that nobody wrote to are taken out", () => {
  deepEqual(unchangedParts(SMAPS, "/usr/bin/podskoop (deleted)"), [
    { start: 0x5601a000n, end: 0x5601c000n },
    { start: 0x5601c000n, end: 0x5601f000n },
  ]);
  deepEqual(unchangedParts("", "/usr/bin/podskoop"), []);
});

/** Kilobytes of files that are in this process's memory. */
function fileKilobytes(): number {
  return Number(/^RssFile:\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1]);
}

Deno.test("this process goes on without what its start took", () => {
  const before = fileKilobytes();
  unloadStartCode();
  const after = fileKilobytes();
  ok(after < before * 0.8, `${before} kB before, ${after} kB after`);
  equal(JSON.parse('{"still": "here"}').still, "here");
});

Deno.test("a kernel that does not tell what is in memory costs only that", () => {
  unloadStartCode("/nowhere");
});
