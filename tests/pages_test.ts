import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { Access } from "../agent/access.ts";
import { diagnosesOf } from "@agent/diagnoses.ts";
import { HttpCounts } from "../agent/http_counts.ts";
import { readConsole } from "../agent/routes/console.ts";
import { EventStreams } from "../agent/routes/event_streams.ts";
import { application } from "../agent/server.ts";
import { documentedUnits } from "../tools/cards.ts";
import { FakeAgent } from "./fake_agent.ts";
import { declared } from "./imports.ts";
import { ROOT } from "./tree.ts";

const PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/configuration.md"];

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

for (const page of PAGES) {
  Deno.test(`every file that ${page} names or links to is there`, () => {
    const named = [...read(page).matchAll(/`([a-z_]+\/[\w./]+\.\w+)`/g)]
      .map(([, path = ""]) => path).filter((path) =>
        existsSync(new URL(path.split("/")[0] ?? "", ROOT))
      );
    const linked = [...read(page).matchAll(/\]\(([\w./]+)(?:#\w+)?\)/g)]
      .map(([, path = ""]) => new URL(path, new URL(page, ROOT)).href.slice(ROOT.href.length));
    const missing = [...named, ...linked].filter((path) => !existsSync(new URL(path, ROOT)));
    assert.deepEqual(missing, []);
    assert(page.startsWith("docs/") || named.length + linked.length > 3);
  });
}

Deno.test("the table of dependencies has what deno.json has, and what it saves", () => {
  const packages = Array.from(declared(read("deno.json")).values()).filter((target) =>
    target.startsWith("npm:")
  ).map((target) => target.replace(/^npm:\/?(.+?)@[\d.]+\/?$/, "$1"));
  const [, table = ""] = /^## Dependencies\n(.*)$/ms.exec(read("ARCHITECTURE.md")) ?? [];
  const rows = [...table.matchAll(/^\| (`.+`) \| .{10,} \|$/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name)
  );
  assert.deepEqual(
    rows.filter((name) => !name.startsWith("node:")).sort(),
    [...new Set(packages)].sort(),
  );
});

Deno.test("the README names every unit, each with its default", async () => {
  const readme = read("README.md");
  for (const { name, kind, byDefault } of await documentedUnits()) {
    if (kind === "agent") continue;
    const on = byDefault.metrics || byDefault.events ? "on" : "off";
    assert.match(readme, new RegExp(`^\\| \`${name}\` \\| ${on} \\| `, "m"), name);
  }
});

Deno.test("every command, and every path that is served, is in the README", async () => {
  const readme = read("README.md");
  for (const entry of Deno.readDirSync(new URL("tests/golden/help/", ROOT))) {
    const [, command] = /^podskoop_(\w+)\.txt$/.exec(entry.name) ?? [];
    if (command !== undefined) assert(readme.includes(`| \`podskoop ${command}`), command);
  }
  const paths = Object.keys(await served());
  assert(paths.length >= 10);
  for (const path of paths) {
    assert(new RegExp(`^\\| .*\`${path.replace(/[.{}]/g, "\\$&")}\``, "m").test(readme), path);
  }
});

/** What the agent says that it serves. */
async function served(): Promise<Readonly<Record<string, unknown>>> {
  const agent = new FakeAgent();
  const counts = new HttpCounts();
  const app = application({
    agent,
    access: new Access({ socket: "/nowhere" }),
    streams: new EventStreams(agent, counts),
    counts,
    files: await readConsole(),
    names: ["node-a"],
    diagnoses: diagnosesOf(agent, counts),
  });
  const caller = { by: "unix", tls: false, loopback: true } as const;
  const document = await (await app.request("/openapi.json", {}, { caller })).json();
  return document.paths;
}
