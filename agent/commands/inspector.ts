/**
 * The predecessor's command line, for a link called `inspector`: its unit files, manifests and
 * habits go on working.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { Argument, Command, Option } from "commander";
import { type RunAgent, runToEnd } from "./agent.ts";
import { type UnitLine, unitLines } from "./cards.ts";
import { type AgentAddress, DEFAULT_SOCKET, parseAgent } from "./client.ts";
import { events } from "./events.ts";
import { Failure, type Terminal } from "./terminal.ts";
import { versionCommand } from "./version.ts";

/** Where the predecessor's manifests mount its configuration. */
const OLD_CONFIG_FILE = "/etc/config/config.yaml";
const OLD_EVENT_PORT = "19102";

/** `inspector`: the agent, its lists and its events. */
export function inspectorProgram(run: RunAgent, terminal: Terminal): Command {
  return new Command("inspector")
    .description("podskoop under its predecessor's name; `podskoop --help` has everything")
    .addOption(new Option("-d, --debug", "log more"))
    .addOption(new Option("-v, --verbose", "accepted, and of no effect"))
    .addCommand(serverCommand(run))
    .addCommand(listCommand(terminal))
    .addCommand(watchCommand(terminal))
    .addCommand(versionCommand(terminal));
}

function serverCommand(run: RunAgent): Command {
  return new Command("server")
    .description("watch this node, as `podskoop agent` does")
    .option("-c, --config <file>", `configuration (default: ${OLD_CONFIG_FILE} if it is there)`)
    .option("-d, --debug", "log more")
    .option("-v, --verbose", "accepted, and of no effect")
    .option("--sidecar", "watch only the pod that the agent is a container of")
    .action(async (_options, command: Command) => {
      const { config, debug, sidecar } = command.optsWithGlobals();
      const file = config ?? (existsSync(OLD_CONFIG_FILE) ? OLD_CONFIG_FILE : undefined);
      await runToEnd(run, {
        ...(file === undefined ? {} : { configFile: file }),
        overrides: {
          ...(debug === true ? { logLevel: "debug" } : {}),
          ...(sidecar === true ? { sidecar: true } : {}),
        },
      });
    });
}

const LISTS = {
  probe: ({ card }: UnitLine) => [card.name],
  event: ({ types }: UnitLine) => types,
  metric: ({ metrics }: UnitLine) => metrics.map((name) => `podskoop_${name}`),
} as const;

function listCommand(terminal: Terminal): Command {
  return new Command("list")
    .description("names of probes, events or metrics, one a line")
    .addArgument(
      new Argument("[what]", "what to list").choices(Object.keys(LISTS)).default("probe"),
    )
    .action(async (what: keyof typeof LISTS) => {
      const names = (await unitLines()).flatMap((line) => LISTS[what](line));
      for (const name of new Set(names)) terminal.out(`${name}\n`);
    });
}

function watchCommand(terminal: Terminal): Command {
  return new Command("watch")
    .description("events as they happen, as `podskoop events -f` shows them")
    .option("-s, --server <address>", "the agent's node; this one is reached by its socket")
    .option("-p, --port <port>", `the agent's port; ${OLD_EVENT_PORT} stands for that socket too`)
    .action(async ({ server = "127.0.0.1", port = OLD_EVENT_PORT }) => {
      await events({ agent: addressOf(server, port), follow: true, text: true }, terminal);
    });
}

/** The old event port is no longer served: on this node it stands for the unix socket. */
function addressOf(server: string, port: string): AgentAddress {
  const local = ["127.0.0.1", "localhost", "::1"].includes(server);
  if (local && port === OLD_EVENT_PORT) return { unix: DEFAULT_SOCKET };
  const host = server.includes(":") ? `[${server}]` : server;
  const url = `http://${host}:${port}`;
  if (!URL.canParse(url)) {
    throw new Failure(`Cannot watch "${server}" port "${port}": it is no address`, 2);
  }
  return parseAgent(url);
}
