import assert from "node:assert/strict";
import { programOf } from "../../main.ts";
import { FakeTerminal } from "../../tests/fake_terminal.ts";
import { agentCommand, type AgentOptions } from "./agent.ts";
import { inspectorProgram } from "./inspector.ts";
import { runProgram } from "./program.ts";

const GOLDEN = new URL("../../tests/golden/help/", import.meta.url);

/** Runs a command line; what it printed, and its exit code. */
async function run(name: string, ...args: string[]) {
  const terminal = new FakeTerminal();
  const code = await runProgram(await programOf(name, terminal, args[0]), args, terminal);
  return { code, out: terminal.stdout, err: terminal.stderr };
}

const HELP: Readonly<Record<string, readonly string[]>> = {
  podskoop: [
    ...["agent", "events", "top", "probes", "status", "collect", "diagnose", "doctor"],
    "version",
  ],
  inspector: ["server", "list", "watch", "version"],
  skoop: [],
};

for (const [name, commands] of Object.entries(HELP)) {
  for (const command of [undefined, ...commands]) {
    const line = command === undefined ? name : `${name} ${command}`;
    Deno.test(`the help of '${line}' is the golden one, and fits 80 columns`, async () => {
      const { code, out } = await run(name, ...command === undefined ? [] : [command], "--help");
      assert.equal(code, 0);
      for (const each of out.split("\n")) assert([...each].length <= 80, each);
      const file = new URL(`${line.replaceAll(" ", "_")}.txt`, GOLDEN);
      if (Deno.env.get("PODSKOOP_GOLDEN") === "write") await Deno.writeTextFile(file, out);
      assert.equal(out, await Deno.readTextFile(file));
    });
  }
}

Deno.test("every command is in the golden files, so that none goes without help", async () => {
  const terminal = new FakeTerminal();
  for (const [name, commands] of Object.entries(HELP)) {
    const known = (await programOf(name, terminal)).commands.map((command) => command.name());
    assert.deepEqual(known, commands);
  }
  const files = await Array.fromAsync(Deno.readDir(GOLDEN), ({ name }) => name);
  const wanted = Object.entries(HELP).flatMap(([name, commands]) => [
    `${name}.txt`,
    ...commands.map((command) => `${name}_${command}.txt`),
  ]);
  assert.deepEqual(files.sort(), wanted.sort());
});

Deno.test("a misspelt command or option is misuse, with what was meant", async () => {
  const command = await run("podskoop", "evnts");
  assert.equal(command.code, 2);
  assert.match(command.err, /Did you mean events\?\)\nRun 'podskoop --help' for what it takes/);
  const option = await run("podskoop", "events", "--folow");
  assert.equal(option.code, 2);
  assert.match(option.err, /Did you mean --follow\?/);
  assert.match(option.err, /Run 'podskoop events --help'/);
  assert.equal((await run("podskoop")).code, 2);
  assert.equal((await run("podskoop", "status", "extra")).code, 2);
});

Deno.test("a wrong value is misuse, and says what is allowed", async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["agent", "--listen", "nowhere"], /HOST:PORT/],
    [["agent", "--socket", "relative"], /absolute path/],
    [["agent", "--log-level", "loud"], /debug, info, warn, error/],
    [["agent", "--node-name", "a\nb"], /letters, digits/],
    [["events", "--limit", "0"], /from 1 to 10000/],
    [["events", "--agent", "ftp://x"], /unix:PATH/],
    [["top", "--sort", "luck"], /rx, tx, packets, drops/],
    [["top", "--interval", "0"], /from 0\.2 to 3600/],
  ];
  for (const [args, words] of cases) {
    const { code, err } = await run("podskoop", ...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, words);
  }
});

Deno.test("an option that a script left empty is misuse, and asks about nothing", async () => {
  const cases: readonly (readonly string[])[] = [
    ["events", "--pod", ""],
    ["events", "--type", "PACKETLOSS", "--type", ""],
    ["events", "--since="],
    ["top", "--pod", ""],
    ["collect", "--netns", ""],
    ["diagnose", "--src", ""],
    ["agent", "--node-name", ""],
    ["doctor", "--config", ""],
  ];
  for (const args of cases) {
    const { code, out, err } = await run("podskoop", ...args);
    assert.deepEqual([code, out], [2, ""], args.join(" "));
    assert.match(err, /^error: option '.+' argument '' is invalid\. It must not be empty\n/);
  }
});

Deno.test("a file without an end is refused, whatever it is for", async () => {
  const way = ["-s", "127.0.0.1", "-d", "127.0.0.1", "-p", "1"];
  const none = ["--agent", "http://127.0.0.1:9"];
  const cases: readonly (readonly string[])[] = [
    ["diagnose", ...way, "--snapshot", "/dev/zero"],
    ["diagnose", ...way, "--facts", "/dev/zero", "--local"],
    ["diagnose", ...way, "--kubeconfig", "/dev/zero"],
    ["diagnose", "--matrix", "/dev/zero"],
    ["events", ...none, "--token-file", "/dev/zero"],
    ["events", ...none, "--ca-file", "/dev/zero"],
    ["doctor", "--config", "/dev/zero"],
  ];
  for (const args of cases) {
    const { code, out, err } = await run("podskoop", ...args);
    assert.equal(code, 1, args.join(" "));
    assert.match(out + err, /"\/dev\/zero": It has\s+more than \d+ bytes/, args.join(" "));
  }
});

Deno.test("no agent is a failure with one line that says what to do", async () => {
  for (const command of ["events", "top", "status"]) {
    const { code, err } = await run("podskoop", command, "--agent", "unix:/nowhere/x.sock");
    assert.equal(code, 1);
    assert.match(err, /^podskoop: Cannot reach the agent as "\/nowhere\/x\.sock" .*\n$/);
  }
});

Deno.test("without an agent, probes lists what this program has", async () => {
  const { code, out, err } = await run("podskoop", "probes", "--agent", "unix:/nowhere/x.sock");
  assert.equal(code, 0);
  assert.match(out, /^NAME +METRICS +EVENTS +TELLS\n/);
  assert.match(out, /^netdev +default +- +/m);
  assert.match(err, /^No agent is running; this is what this podskoop has\./);
});

Deno.test("the version is told with its runtime and objects, also as JSON", async () => {
  const { out } = await run("podskoop", "version");
  assert.match(out, /^podskoop \S+\nbuild {5}.+\nruntime {3}Deno \d+\.\d+\.\d+, V8 /);
  const facts = JSON.parse((await run("podskoop", "version", "--json")).out);
  assert.equal(facts.deno, Deno.version.deno);
  assert(Array.isArray(facts.objects));
  assert.equal((await run("podskoop", "--version")).code, 0);
});

/** What the agent would be started with. */
async function started(
  make: (run: (options: AgentOptions) => Promise<number>) => ReturnType<typeof agentCommand>,
  ...args: string[]
): Promise<{ readonly options: AgentOptions | undefined; readonly code: number }> {
  let options: AgentOptions | undefined;
  const command = make((given) => {
    options = given;
    return Promise.resolve(args.includes("fail.yaml") ? 1 : 0);
  });
  return { code: await runProgram(command, args, new FakeTerminal()), options };
}

Deno.test("the agent is given the options that were written, and no other", async () => {
  assert.deepEqual(await started(agentCommand), { code: 0, options: { overrides: {} } });
  const line = "--config c.yaml --listen [::1]:7 --socket /s --data-dir /d --pin-dir /p " +
    "--node-name n --runtime-endpoint unix:///r --log-level warn";
  assert.deepEqual((await started(agentCommand, ...line.split(" "))).options, {
    configFile: "c.yaml",
    overrides: {
      listen: { hostname: "::1", port: 7 },
      socket: "/s",
      dataDir: "/d",
      pinDir: "/p",
      nodeName: "n",
      runtimeEndpoint: "unix:///r",
      logLevel: "warn",
    },
  });
});

Deno.test("the agent's exit code is the command's", async () => {
  assert.equal((await started(agentCommand, "--config", "fail.yaml")).code, 1);
});

Deno.test("inspector server starts the agent as the predecessor's manifests do", async () => {
  const inspector = (start: (options: AgentOptions) => Promise<number>) =>
    inspectorProgram(start, new FakeTerminal());
  const debug = { configFile: "/c.yaml", overrides: { logLevel: "debug" } };
  for (
    const line of [
      "server -c /c.yaml -d",
      "server --config /c.yaml --debug",
      "-d server -c /c.yaml",
      "server -d -v -c /c.yaml",
    ]
  ) {
    assert.deepEqual((await started(inspector, ...line.split(" "))).options, debug, line);
  }
  assert.deepEqual((await started(inspector, "server", "-c", "/c.yaml")).options, {
    configFile: "/c.yaml",
    overrides: {},
  });
});

Deno.test("inspector list names probes, events and metrics, one a line", async () => {
  const probes = (await run("inspector", "list")).out;
  assert.equal((await run("inspector", "list", "probe")).out, probes);
  assert(probes.split("\n").includes("netdev"));
  const metrics = (await run("inspector", "list", "metric")).out;
  assert(metrics.split("\n").includes("podskoop_netdev_receive_bytes_total"));
  assert.equal((await run("inspector", "list", "event")).code, 0);
  assert.equal((await run("inspector", "list", "entities")).code, 2);
});
