import assert from "node:assert/strict";
import type { Config, UnitCard } from "./config.ts";
import { defaultConfig } from "./defaults.ts";
import { type ReadConfig, readConfig } from "./read.ts";
import { UNITS } from "../../tests/fake_units.ts";

function read(text: string, reading?: "strict" | "lenient"): ReadConfig {
  return readConfig(text, "/etc/podskoop/config.yaml", UNITS, {}, reading);
}

function accepted(text: string): Config {
  const result = read(text);
  assert("config" in result, JSON.stringify(result));
  return result.config;
}

function warningsOf(text: string): readonly string[] {
  const result = read(text);
  assert("config" in result, JSON.stringify(result));
  return result.warnings;
}

function errorsOf(text: string): readonly string[] {
  const result = read(text);
  assert("errors" in result, "it was taken");
  return result.errors;
}

function running(config: Config, half: "metrics" | "events"): string[] {
  return Object.entries(config.units).filter(([, choice]) => choice[half]).map(([name]) => name)
    .sort();
}

const FILE = "/etc/podskoop/config.yaml";

Deno.test("an empty configuration is the defaults, as are keys without values", () => {
  for (const text of ["", "# nothing\n", "~", "probes:\nmetrics:\n  names:\n", "{}"]) {
    assert.deepEqual(accepted(text), defaultConfig(UNITS));
  }
});

Deno.test("each key of our own schema is taken", () => {
  const config = accepted(`
listen: "[::1]:9999"
socket: /tmp/p.sock
dataDir: /tmp/data
pinDir: /sys/fs/bpf/other
nodeName: node-b.example
runtimeEndpoint: unix:///run/crio/crio.sock
sidecar: true
kubernetes: { scope: cluster, kubeconfig: /etc/kubernetes/kubelet.conf }
logLevel: debug
metrics: { names: [podskoop, inspector], additionalLabels: ["app=\${labels:app}"] }
events:
  foldSeconds: 0
  queueMax: 17
  store: { hoursMax: 3, bytesMax: 1048576 }
  sinks:
    - stderr
    - { kind: stderr, format: json }
    - { kind: file, path: /var/log/podskoop.log, bytesMax: 8192, filesMax: 2, format: text }
    - { kind: file, path: /var/log/podskoop.json }
access:
  tokenFile: /etc/podskoop/tokens
  tls: { certFile: /c.pem, keyFile: /k.pem }
`);
  const { units: _units, ...rest } = config;
  assert.deepEqual(rest, {
    listen: { hostname: "::1", port: 9999 },
    socket: "/tmp/p.sock",
    dataDir: "/tmp/data",
    pinDir: "/sys/fs/bpf/other",
    nodeName: "node-b.example",
    runtimeEndpoint: "unix:///run/crio/crio.sock",
    sidecar: true,
    kubernetes: { scope: "cluster", kubeconfig: "/etc/kubernetes/kubelet.conf" },
    logLevel: "debug",
    metrics: { names: ["podskoop", "inspector"], additionalLabels: ["app=${labels:app}"] },
    events: {
      foldSeconds: 0,
      queueMax: 17,
      store: { hoursMax: 3, bytesMax: 1048576 },
      sinks: [
        { kind: "stderr", format: "text" },
        { kind: "stderr", format: "json" },
        {
          kind: "file",
          path: "/var/log/podskoop.log",
          format: "text",
          bytesMax: 8192,
          filesMax: 2,
        },
        {
          kind: "file",
          path: "/var/log/podskoop.json",
          format: "json",
          bytesMax: 16777216,
          filesMax: 5,
        },
      ],
    },
    access: {
      tokenFile: "/etc/podskoop/tokens",
      tls: { certFile: "/c.pem", keyFile: "/k.pem" },
    },
  });
});

Deno.test("listen is a port, an address, or both", () => {
  const at = (text: string) => accepted(`listen: ${text}`).listen;
  assert.deepEqual(at("8080"), { hostname: "0.0.0.0", port: 8080 });
  assert.deepEqual(at('":8080"'), { hostname: "0.0.0.0", port: 8080 });
  assert.deepEqual(at("localhost:0"), { hostname: "localhost", port: 0 });
  assert.deepEqual(at('"[::]:9102"'), { hostname: "::", port: 9102 });
  for (const wrong of ["70000", "host", "::1:80", "a b:80", "[80]", "-1", "127.0.0.1:abc"]) {
    assert.match(errorsOf(`listen: ${wrong}`)[0] ?? "", /"listen" \(.* line 1\) as it must be/);
  }
});

Deno.test("probes are switched on and off, whole or by half, with their parameters", () => {
  const { units } = accepted(`
probes:
  packetloss: { events: false, stack: true, rate: 7 }
  reset: false
  tcpsummary: true
  netdev: { metrics: false }
`);
  assert.deepEqual(units["packetloss"], {
    metrics: true,
    events: false,
    parameters: { stack: true, rate: 7 },
  });
  assert.deepEqual(units["tcpreset"], { metrics: false, events: false, parameters: {} });
  assert.deepEqual(units["tcpsummary"], { metrics: true, events: false, parameters: {} });
  assert.deepEqual(units["netdev"], { metrics: false, events: false, parameters: {} });
  assert.deepEqual(units["io"], { metrics: true, events: false, parameters: {} });
});

Deno.test("a key without a value has its default, but must be one", () => {
  assert.deepEqual(errorsOf("logLevel:\nprobes:\n  netdev:\nlisen:\n"), [
    `Cannot use "lisen" (${FILE} line 4) as there is no such key: did you mean "listen"?`,
  ]);
  const [error = "", ...others] = errorsOf("probes:\n  netdeb:\n  io:\n");
  assert.match(error, /"probes.netdeb" \(.* line 2\) as no probe .*: did you mean "netdev"\?$/);
  assert.deepEqual(others, []);
  assert.deepEqual(accepted("probes:\n  netdev:\n  io:\n").units, accepted("").units);
});

Deno.test("an alias of what it is in is told, in a list and in a mapping", () => {
  for (const text of ["&a [*a]", "probes: &a { io: *a }"]) {
    assert.deepEqual(errorsOf(text), [
      `Cannot read the configuration "${FILE}": it goes too deep, or an alias stands for what it ` +
      "is a part of",
    ]);
  }
});

Deno.test("each error has file, line, path, value and what is allowed", () => {
  assert.deepEqual(errorsOf("listen: 9102\nlogLevel: loud\nlisten2: 1\n"), [
    `Cannot use "logLevel" (${FILE} line 2) as it must be one of debug, info, warn, error: ` +
    'current value is "loud"',
    `Cannot use "listen2" (${FILE} line 3) as there is no such key: did you mean "listen"?`,
  ]);
  assert.deepEqual(errorsOf("events:\n  store:\n    hoursMax: 3.5\n  queueMax: 0\n"), [
    `Cannot use "events.store.hoursMax" (${FILE} line 3) as it must be a whole number from 1 ` +
    "to 8760: current value is 3.5",
    `Cannot use "events.queueMax" (${FILE} line 4) as it must be a whole number from 1 to ` +
    "1000000: current value is 0",
  ]);
  assert.deepEqual(errorsOf("probes: [netdev]\n"), [
    `Cannot use "probes" (${FILE} line 1) as it must be a mapping of probes and collectors: ` +
    'current value is ["netdev"]',
  ]);
  assert.match(errorsOf("events: [a]")[0] ?? "", /"events" .* it must be a mapping of keys to/);
  assert.deepEqual(errorsOf("metrics: { names: [] }\nsocket: run/x.sock\n"), [
    `Cannot use "metrics.names" (${FILE} line 1) as it must be a list of at least one of ` +
    "podskoop, inspector, kubeskoop: current value is []",
    `Cannot use "socket" (${FILE} line 2) as it must be an absolute path of at most 107 bytes: ` +
    'current value is "run/x.sock"',
  ]);
  for (const endpoint of ["tcp://127.0.0.1:10010", "unix://run/x.sock", "run/x.sock"]) {
    assert.deepEqual(errorsOf(`runtimeEndpoint: ${endpoint}\n`), [
      `Cannot use "runtimeEndpoint" (${FILE} line 1) as it must be a unix socket: ` +
      "unix:///PATH, or an absolute path of at most 107 bytes: " +
      `current value is ${JSON.stringify(endpoint)}`,
    ]);
  }
});

Deno.test("a misspelt probe, half, parameter or sink is named with what was meant", () => {
  assert.deepEqual(
    errorsOf(`
probes:
  packetlos: true
  tcpreset: { event: true }
  packetloss: { Rate: 5 }
  netdev: { events: true }
  io: "yes"
  quux: true
events:
  sinks:
    - { kind: fil, path: /x }
    - { kind: file, pth: /x }
    - 7
`),
    [
      `Cannot use "probes.packetlos" (${FILE} line 3) as no probe or collector is called ` +
      '"packetlos": did you mean "packetloss"?',
      `Cannot use "probes.tcpreset.event" (${FILE} line 4) as tcpreset has no such key: did you ` +
      'mean "events"?',
      `Cannot use "probes.packetloss.Rate" (${FILE} line 5) as packetloss has no such key: did ` +
      'you mean "rate"?',
      `Cannot use "probes.netdev.events" (${FILE} line 6) as netdev gives no events: current ` +
      "value is true",
      `Cannot use "probes.io" (${FILE} line 7) as it must be true, false or a mapping of ` +
      'metrics, events: current value is "yes"',
      `Cannot use "probes.quux" (${FILE} line 8) as no probe or collector is called "quux": ` +
      "allowed are fd, io, ip, netdev, packetloss, sock, softnet, tcp, tcpext, tcpreset, " +
      "tcpsummary, udp",
      `Cannot use "events.sinks[0].kind" (${FILE} line 11) as it must be one of stderr, file: ` +
      'current value is "fil"',
      `Cannot use "events.sinks[1].path" (${FILE} line 12) as "path" is needed here`,
      `Cannot use "events.sinks[1].pth" (${FILE} line 12) as there is no such key: did you mean ` +
      '"path"?',
      `Cannot use "events.sinks[2]" (${FILE} line 13) as it must be a sink, such as \`stderr\`: ` +
      'current value is "7"',
    ],
  );
});

Deno.test("a parameter keeps its bounds and its type", () => {
  for (const wrong of ["0", "10001", "1.5", "true", '"7"', "[1]"]) {
    const [error = ""] = errorsOf(`probes: { packetloss: { rate: ${wrong} } }`);
    assert.match(error, /packetloss\.rate" .* as it must be a whole number from 1 to 10000/);
  }
  const [error = ""] = errorsOf("probes: { packetloss: { stack: 1 } }");
  assert.match(error, /packetloss\.stack" .* as it must be true or false: current value is 1/);
});

Deno.test("a list has only words that it may have, or that fit", () => {
  const lists: UnitCard = {
    name: "heard",
    aliases: [],
    gives: { metrics: false, events: true },
    byDefault: { metrics: false, events: false },
    parameters: {
      kinds: { default: "", words: ["one", "two"] },
      pods: { default: "", pattern: /^[a-z]+\/[a-z*]+$/ },
    },
  };
  const read = (text: string) => {
    const result = readConfig(`probes: { heard: { events: true, ${text} } }`, FILE, [lists]);
    return "errors" in result ? result.errors[0] : result.config.units["heard"]?.parameters;
  };
  assert.deepEqual(read('kinds: "two, one", pods: shop/we*'), {
    kinds: "two, one",
    pods: "shop/we*",
  });
  assert.deepEqual(read('kinds: ""'), { kinds: "", pods: "" });
  assert.match(String(read("kinds: three")), /it must be words with commas between, of one, two/);
  assert.match(String(read("kinds: 7")), /words with commas between, of one, two: current value/);
  assert.match(String(read("pods: shop")), /each of which fits .*: current value is "shop"/);
  assert.match(String(read(`pods: "${"a/b,".repeat(1_025)}"`)), /words with commas between/);
});

Deno.test("two names of one probe in one file are an error, because only one can hold", () => {
  const [error = ""] = errorsOf("probes:\n  tcpreset: true\n  tcp_reset: false\n");
  assert.match(error, /"probes.tcp_reset" .* line 3\) as it is the same as "probes.tcpreset"/);
});

Deno.test("a probe that only a predecessor has is a warning, under each of its names", () => {
  const names = ["netiftxlatency", "netif_txlat", "net_softirq", "virtcmdLatency", "insp_qdisc"];
  for (const name of names) {
    const [warning = ""] = warningsOf(`probes: { ${name}: true }`);
    assert.match(warning, /^"probes\.\w+" \(.*\) has no effect: "\w+" is not in this build$/);
  }
});

Deno.test("parameters for what does not run are a warning", () => {
  const [warning = ""] = warningsOf("probes: { tcpsummary: {} }");
  assert.match(warning, /tcpsummary does not run without `metrics: true`/);
});

Deno.test("bad YAML is an error with its line", () => {
  assert.match(errorsOf("listen: 1\nprobes: {\n")[0] ?? "", /config\.yaml" at line [23]: /);
  assert.match(errorsOf("a: 1\n\tb: 2\n")[0] ?? "", /at line 2: /);
  assert.match(errorsOf("listen: 1\nlisten: 2\n")[0] ?? "", /at line \d: Map keys must be unique/);
  assert.match(errorsOf("- a\n")[0] ?? "", /it must be a mapping .* current value is \["a"\]/);
  assert.match(errorsOf("a: 1\n---\nb: 2\n")[0] ?? "", /multiple documents/);
  assert.match(errorsOf("socket: *nowhere\n")[0] ?? "", /nowhere/);
});

Deno.test("aliases that expand without end and texts without end are refused", () => {
  const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
  for (let level = 0; level < 12; level++) {
    const [last, next] = [String.fromCharCode(97 + level), String.fromCharCode(98 + level)];
    bomb.push(`${next}: &${next} [${Array(9).fill(`*${last}`).join(",")}]`);
  }
  assert.match(errorsOf(bomb.join("\n"))[0] ?? "", /alias/i);
  assert.match(
    errorsOf("#".repeat(1024 * 1024 + 1))[0] ?? "",
    /at most 1048576 characters: it has 1048577/,
  );
});

Deno.test("a key called __proto__ or constructor is a key like any other", () => {
  assert.match(errorsOf("__proto__: { listen: 1 }")[0] ?? "", /there is no such key/);
  assert.match(
    errorsOf("probes: { constructor: true }")[0] ?? "",
    /"probes.constructor" .* there is no such key/,
  );
  assert.match(
    errorsOf("probes: { packetloss: { toString: 1 } }")[0] ?? "",
    /there is no such key/,
  );
});

Deno.test("at the start, a mistake in a probe or a sink costs only that one", () => {
  const result = read(
    "logLevel: warn\nprobes: { packetlos: true, netdev: false }\nevents: { sinks: [loki, stderr] }",
    "lenient",
  );
  assert("config" in result);
  assert.equal(result.mistakes.length, 2);
  assert.deepEqual(result.warnings, result.mistakes);
  assert.equal(result.config.logLevel, "warn");
  assert.equal(result.config.units["netdev"]?.metrics, false);
  assert.equal(result.config.units["packetloss"]?.metrics, true);
  assert.deepEqual(result.config.events.sinks, [{ kind: "stderr", format: "text" }]);
});

Deno.test("at the start too, a mistake in anything else is an error", () => {
  assert("errors" in read("listen: 127.0.0.1:abc", "lenient"));
  assert("errors" in read("lisen: 127.0.0.1:9102", "lenient"));
});

Deno.test("the command line goes before the file", () => {
  const result = readConfig("listen: 1\nlogLevel: warn", "x", UNITS, {
    listen: { hostname: "::1", port: 2 },
  });
  assert("config" in result);
  assert.deepEqual(result.config.listen, { hostname: "::1", port: 2 });
  assert.equal(result.config.logLevel, "warn");
});

/** As the documents of the inspector 0.1 show it. */
const INSPECTOR = `
debugmode: true
metric_config:
  interval: 15
  port: 9102
  probes:
  - netdev
  - io
  - socketlatency
  - packetloss
  - sock
  - tcpsummary
  - tcp
  - tcpext
  - udp
  - net_softirq
  - virtcmdlatency
event_config:
  port: 19102
  loki_enable: true
  loki_address: loki-service
  probes:
  - tcpreset
  - packetloss
`;

Deno.test("the inspector's documented file runs exactly the probes that it lists", () => {
  const config = accepted(INSPECTOR);
  assert.deepEqual(
    running(config, "metrics"),
    ["io", "netdev", "packetloss", "sock", "tcp", "tcpext", "tcpsummary", "udp"],
  );
  assert.deepEqual(running(config, "events"), ["packetloss", "tcpreset"]);
  assert.equal(config.logLevel, "debug");
  assert.deepEqual(config.listen, { hostname: "0.0.0.0", port: 9102 });
  assert.deepEqual(config.events.sinks, []);
});

Deno.test("what the inspector's file says in vain is told, each with its line", () => {
  const warnings = warningsOf(INSPECTOR);
  const about = warnings.map((each) => /^"([^"]+)" \(.* line (\d+)\)/.exec(each)?.slice(1));
  assert.deepEqual(about, [
    ["metric_config.interval", "4"],
    ["metric_config.probes[2]", "9"],
    ["metric_config.probes[9]", "16"],
    ["metric_config.probes[10]", "17"],
    ["event_config.port", "19"],
    ["event_config.loki_enable", "20"],
  ]);
});

Deno.test("the inspector's module names stand for the units that do their work", () => {
  const config = accepted(
    "metric_config: { probes: [Procfd, procio, procnetdev, procnetstat, procsnmp, procsock, " +
      "procsoftnet, proctcpsummary, insp_packetloss] }",
  );
  assert.deepEqual(
    running(config, "metrics"),
    "fd io ip netdev packetloss sock softnet tcp tcpext tcpsummary udp".split(" "),
  );
  assert.deepEqual(running(config, "events"), []);
});

Deno.test("the inspector's infotolog is the sink stderr", () => {
  const config = accepted("event_config: { infotolog: true, probes: [tcpreset] }");
  assert.deepEqual(config.events.sinks, [{ kind: "stderr", format: "text" }]);
});

const KUBESKOOP = `
debugMode: false
address: tcp://127.0.0.1:9333
enableController: true
controllerAddr: dns:controller:10263
metrics:
  probes:
  - name: netdev
  - name: packetloss
  - name: flow
    args: { enablePortInLabel: false }
  additionalLabels:
  - "app=text_\${labels:app}_text"
  - "pod=\${labels:app}"
event:
  probes:
  - name: packetloss
    args: { enableStack: true }
  - name: tcpreset
  sinks:
  - name: stderr
  - name: file
    args: { path: /var/log/events.json }
  - name: loki
    args: { addr: loki:3100 }
`;

Deno.test("KubeSkoop's file is mapped: address, probes with arguments, sinks", () => {
  const config = accepted(KUBESKOOP);
  assert.deepEqual(config.listen, { hostname: "127.0.0.1", port: 9333 });
  assert.deepEqual(running(config, "metrics"), ["netdev", "packetloss"]);
  assert.deepEqual(running(config, "events"), ["packetloss", "tcpreset"]);
  assert.deepEqual(config.units["packetloss"]?.parameters, { stack: true, rate: 100 });
  assert.deepEqual(config.events.sinks, [
    { kind: "stderr", format: "json" },
    {
      kind: "file",
      path: "/var/log/events.json",
      format: "json",
      bytesMax: 16777216,
      filesMax: 5,
    },
  ]);
  assert.equal(config.logLevel, "info");
  assert.deepEqual(config.metrics.additionalLabels, ["app=text_${labels:app}_text"]);
});

Deno.test("what has no meaning here in KubeSkoop's file is told", () => {
  const about = warningsOf(KUBESKOOP).map((each) => each.replace(/^"([^"]+)".*$/, "$1"));
  assert.deepEqual(about, [
    "enableController",
    "controllerAddr",
    "metrics.probes[2]",
    "metrics.additionalLabels[1]",
    "event.sinks[2]",
  ]);
});

Deno.test("KubeSkoop's address has three forms, and port is its older one", () => {
  const of = (text: string) => accepted(`${text}\nevent: { probes: [tcpreset] }`);
  assert.deepEqual(of("address: 0.0.0.0:1").listen, { hostname: "0.0.0.0", port: 1 });
  assert.deepEqual(of("address: tcp://[::1]:2").listen, { hostname: "::1", port: 2 });
  assert.deepEqual(of("port: 3").listen, { hostname: "0.0.0.0", port: 3 });
  const unix = of("address: unix:///run/skoop.sock");
  assert.equal(unix.socket, "/run/skoop.sock");
  assert.deepEqual(unix.listen, { hostname: "127.0.0.1", port: 9102 });
  assert.match(errorsOf("address: http://x")[0] ?? "", /must be tcp:\/\/HOST:PORT/);
});

Deno.test("a wrong probe, argument, half or sink in a predecessor's file is named", () => {
  const errors = errorsOf(
    "metrics: { probes: [netdv, { name: packetloss, args: { enableStak: true } }, 7] }\n" +
      "event: { probes: [netdev], sinks: [{ name: kafka }, { name: file }] }\n",
  );
  const words = [
    /metrics\.probes\[0\]".* did you mean "netdev"/,
    /metrics\.probes\[1\]\.args\.enableStak".* packetloss has no such key/,
    /metrics\.probes\[2\]".* it must be a probe's name/,
    /event\.probes\[0\]".* netdev gives no events/,
    /event\.sinks\[0\]\.name".* no sink is called "kafka"/,
    /event\.sinks\[1\]\.args\.path".* "path" is needed here/,
  ];
  assert.equal(errors.length, words.length, errors.join("\n"));
  words.forEach((word, index) => assert.match(errors[index] ?? "", word));
});

Deno.test("a predecessor's key among our own is explained, not guessed", () => {
  assert.deepEqual(errorsOf("logLevel: info\nport: 9102\n"), [
    `Cannot use "port" (${FILE} line 2) as it is a predecessor's key, and the file has keys of ` +
    "podskoop's own: write listen instead",
  ]);
});
