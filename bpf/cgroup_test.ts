import { equal, throws } from "node:assert/strict";
import { attachToCgroup, isOfCgroup, rootCgroup } from "./cgroup.ts";

/** A `/proc` with the mounts of the first process and of our own. */
async function proc(first: string, own: string, ...folders: string[]) {
  const dir = await Deno.makeTempDir({ prefix: "cgroup-" });
  await Deno.mkdir(`${dir}/self`);
  for (const folder of ["1/root", ...folders]) {
    await Deno.mkdir(`${dir}/${folder}`, { recursive: true });
  }
  await Deno.writeTextFile(`${dir}/1/mountinfo`, first.replaceAll("DIR", dir));
  await Deno.writeTextFile(`${dir}/self/mountinfo`, own.replaceAll("DIR", dir));
  return { dir, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

Deno.test("the root cgroup is the first process's before it is our own", async () => {
  const host = "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
  const own = "50 49 0:38 / DIR/own ro,nosuid - cgroup2 cgroup rw\n";
  await using there = await proc(host, own, "1/root/sys/fs/cgroup", "own");
  equal(rootCgroup(there.dir), `${there.dir}/1/root/sys/fs/cgroup`);
  await Deno.remove(`${there.dir}/1/root/sys`, { recursive: true });
  equal(rootCgroup(there.dir), `${there.dir}/own`);
});

Deno.test("a mount of a part of the hierarchy, or of v1, is no root", async () => {
  const part = "50 49 0:38 /kubepods/pod7 DIR/part rw - cgroup2 cgroup rw\n";
  const old = "51 49 0:39 / DIR/old rw - cgroup cgroup rw,cpu\n";
  await using there = await proc(part, part + old, "part", "old");
  equal(rootCgroup(there.dir), undefined);
});

Deno.test("only programs of packets are a cgroup's", () => {
  equal(isOfCgroup("cgroup_skb/egress"), true);
  equal(isOfCgroup("tp_btf/kfree_skb"), false);
  throws(() => attachToCgroup("/sys/fs/bpf/absent", "tp_btf/kfree_skb"), {
    message: /^Cannot attach a program of the section "tp_btf\/kfree_skb"/,
  });
});
