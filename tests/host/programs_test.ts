/**
 * Programs on devices, as a snapshot has them: beside `bpftool` and `tc`.
 *
 * Needs root.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readSnapshot } from "../../diagnose/snapshot/format.ts";
import { Burn } from "./burn.ts";
import { BINARY, folder, Lab, run } from "./lab.ts";

Deno.test("a snapshot has the programs on devices, and the walk names them", async () => {
  await using lab = await Lab.create();
  await using _program = await Burn.on(lab.left, "ingress", 0);
  const dir = await folder();
  const file = `${dir}/s.json`;
  const names = [lab.left.name, lab.right.name];
  try {
    await run(
      BINARY,
      "collect",
      "--local",
      ...names.flatMap((each) => ["--netns", each]),
      "-o",
      file,
    );
    const { namespaces } = readSnapshot(await Deno.readFile(file));
    const left = namespaces.find(({ owner }) => owner.name === lab.left.name);
    assert.deepEqual(left?.missing, []);
    const shown = await lab.inside(lab.left.name, "bpftool", "-j", "net");
    const [{ tc: [attached, ...more] }] = JSON.parse(shown);
    assert.equal(more.length, 0);
    assert.deepEqual(left?.programs, [
      { dev: "cable0", hook: "clsact/ingress", id: attached.id, name: attached.name },
    ]);
    assert.deepEqual(left?.filters?.map(({ dev, direction, kind }) => [dev, direction, kind]), [
      ["cable0", "ingress", "bpf"],
    ]);
    const { stdout } = await new Deno.Command(BINARY, {
      args: [
        ...["diagnose", "--snapshot", file, "--format", "json"],
        ...["-s", lab.right.v4, "-d", lab.left.v4, "--protocol", "icmp"],
      ],
    }).output();
    const { verdict, ways } = JSON.parse(new TextDecoder().decode(stdout));
    assert.equal(verdict, "reachable");
    const named = `the program ${JSON.stringify(attached.name)} (clsact/ingress of "cable0")`;
    assert.deepEqual(ways[0].request.assumptions, [`${named} lets it pass`]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
