/**
 * The parsers of `/proc` that tell whose traffic it is, on 10,000 texts that were damaged at
 * random: each gives a value in its bounds, and never throws, since a process may write its own
 * name. A failure names the seed; `FUZZ_SEED=N` repeats it.
 */
import assert from "node:assert/strict";
import { factsOfCgroups } from "../agent/namespaces/cgroups.ts";
import { MOUNTS_MAX, netnsMounts } from "../agent/namespaces/mounts.ts";
import { inumOf, statOf } from "../agent/namespaces/processes.ts";
import { damaged, type Random, randomOf } from "./damage.ts";

const INPUTS = 10_000;
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 20_251_121);

const CGROUPS = [
  "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" +
  "3f1b2c4d_5e6f_7081_92a3_b4c5d6e7f809.slice/cri-containerd-" + "ab".repeat(32) + ".scope\n",
  `12:memory:/kubepods/besteffort/pod3f1b2c4d-5e6f-7081-92a3-b4c5d6e7f809/${"cd".repeat(32)}\n` +
  `1:name=systemd:/docker/${"ef".repeat(32)}\n0::/\n`,
];
const MOUNTS = "36 35 0:4 net:[4026532177] /run/netns/blue rw shared:21 - nsfs nsfs rw\n" +
  "22 1 8:1 / / rw,relatime - ext4 /dev/vda rw\n" +
  "37 35 0:4 net:[4026532178] /run/netns/with\\040blank rw - nsfs nsfs rw\n";
const STAT = "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1 2 3\n";

function survives(name: string, texts: readonly string[], check: (text: string) => void): void {
  Deno.test(`${name} survives ${INPUTS} damaged texts`, () => {
    const random: Random = randomOf(SEED);
    for (let input = 0; input < INPUTS; input++) {
      const text = damaged(texts[random(texts.length)] ?? "", random);
      try {
        check(text);
      } catch (error) {
        const where = `FUZZ_SEED=${SEED}, input ${input}: ${JSON.stringify(text)}`;
        throw new Error(where, { cause: error });
      }
    }
  });
}

survives("what a cgroup tells", CGROUPS, (text) => {
  const { podUid, containerId } = factsOfCgroups(text);
  assert.ok(podUid === undefined || /^[0-9a-f-]{32,36}$/.test(podUid), podUid);
  assert.ok(containerId === undefined || /^[\w.-]{1,128}$/.test(containerId), containerId);
});

survives("the table of mounts", [MOUNTS], (text) => {
  const { mounts, refused } = netnsMounts(text);
  assert.ok(mounts.length <= MOUNTS_MAX && refused >= 0);
  for (const { inum } of mounts) assert.ok(Number.isFinite(inum) && inum >= 0, `${inum}`);
});

survives("a process's stat", [STAT], (text) => {
  const stat = statOf(text);
  if (stat !== undefined) {
    assert.ok(Number.isFinite(stat.start) && stat.start >= 0, `${stat.start}`);
  }
});

survives("a namespace's link", ["net:[4026532177]"], (text) => {
  const inum = inumOf(text);
  assert.ok(Number.isFinite(inum) && inum >= 0, `${inum}`);
});
