/**
 * `podskoop agent`: the main job.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { CONFIG_FILE } from "../config/defaults.ts";
import {
  type Address,
  isRuntimeEndpoint,
  NODE_NAME,
  NODE_NAME_ALLOWED,
  parseAddress,
} from "../config/keys.ts";
import type { Overrides } from "../config/read.ts";
import { withExamples } from "./program.ts";
import { Failure } from "./terminal.ts";

/** What the command line says; `configFile` is one that must be there. */
export interface AgentOptions {
  readonly configFile?: string;
  readonly overrides: Overrides;
}

/** Runs the agent until it is told to stop; gives the exit code. */
export type RunAgent = (options: AgentOptions) => Promise<number>;

/** Watches this node, until a signal says to stop. */
export function agentCommand(run: RunAgent): Command {
  const command = new Command("agent")
    .description("watch this node: run probes and collectors, serve metrics, events and status")
    .option("-c, --config <file>", `configuration, instead of ${CONFIG_FILE}`)
    .option("--listen <host:port>", "where HTTP listens, such as 127.0.0.1:9102", parseListen)
    .option("--socket <path>", "unix socket that commands use", parsePath)
    .option("--data-dir <dir>", "where events are kept", parsePath)
    .option("--pin-dir <dir>", "where BPF objects are pinned, below /sys/fs/bpf", parsePath)
    .option("--node-name <name>", "this node's name in metrics and events", parseNodeName)
    .option(
      "--btf <path>",
      "copy of the kernel's BTF, if it has none: a file or directory",
      parsePath,
    )
    .option(
      "--runtime-endpoint <endpoint>",
      "container runtime, such as unix:///run/containerd/containerd.sock",
      parseEndpoint,
    )
    .option("--sidecar", "watch only the namespace of the pod that the agent is a container of")
    .addOption(
      new Option("--log-level <level>", "least severe entries to log")
        .choices(["debug", "info", "warn", "error"]),
    )
    .action(async ({ config, ...given }) => {
      const overrides = Object.fromEntries(
        Object.entries(given).filter(([, value]) => value !== undefined),
      );
      await runToEnd(run, { ...(config === undefined ? {} : { configFile: config }), overrides });
    });
  return withExamples(
    command,
    ["On built-in defaults", "podskoop agent"],
    [
      "A second one beside it",
      "podskoop agent --listen 127.0.0.1:9103 --socket /run/podskoop/2.sock \\\n" +
      "      --data-dir /var/lib/podskoop-2 --pin-dir /sys/fs/bpf/podskoop-2",
    ],
  );
}

/** Runs the agent; what it could not do it has said itself. */
export async function runToEnd(run: RunAgent, options: AgentOptions): Promise<void> {
  const code = await run(options);
  if (code !== 0) throw new Failure("", code === 2 ? 2 : 1);
}

/** Where to listen, as an argument. */
export function parseListen(text: string): Address {
  const address = parseAddress(text);
  if (address !== undefined) return address;
  throw new InvalidArgumentError("It must be HOST:PORT, [IPv6]:PORT, :PORT or PORT");
}

function parseEndpoint(text: string): string {
  if (isRuntimeEndpoint(text)) return text;
  throw new InvalidArgumentError("It must be unix:///PATH or an absolute path");
}

function parseNodeName(text: string): string {
  if (NODE_NAME.test(text) || text === "") return text;
  throw new InvalidArgumentError(`It must be ${NODE_NAME_ALLOWED}`);
}

function parsePath(text: string): string {
  if (text.startsWith("/")) return text;
  throw new InvalidArgumentError("It must be an absolute path");
}
