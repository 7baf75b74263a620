/**
 * The predecessor's diagnosis, for a link called `skoop`: its command lines go on working.
 *
 * @module
 */
import { Command, Option } from "commander";
import { withClientOptions } from "./client.ts";
import { type DiagnoseOptions, runDiagnosis, withQuestion } from "./diagnose.ts";
import type { Terminal } from "./terminal.ts";
import { version } from "../version.ts";

/** What the predecessor had to be told, and the walk sees by itself. */
const NEEDLESS = [
  ...["--cloud-provider", "--network-plugin", "--proxy-mode", "--cluster-cidr"],
  ...["--collector-image", "--collector-image-pull-policy", "--collector-namespace"],
  ...["--collector-cri-address", "--collector-pod-wait-interval", "--collector-pod-wait-timeout"],
  ...["--flannel-backend-type", "--flannel-bridge", "--flannel-pod-mtu"],
  ...["--flannel-host-interface", "--calico-host-interface", "--calico-host-mtu"],
  ...["--calico-pod-mtu", "--calico-ipip-pod-mtu", "--aliyun-access-key-id"],
  ...["--aliyun-access-key-secret", "--aliyun-security-token"],
  // Those of its library for logs.
  ...["--log_dir", "--log_file", "--log_file_max_size", "--log_backtrace_at", "--stderrthreshold"],
  ...["--vmodule", "-v, --v"],
] as const;

/** Flags of it that need no value. */
const NEEDLESS_FLAGS = [
  ...["--preserve-collector-pod", "--flannel-ip-masq", "--logtostderr", "--alsologtostderr"],
  ...["--add_dir_header", "--one_output", "--skip_headers", "--skip_log_headers"],
] as const;

/** Its own flags that mean what one of ours does. */
interface OldOptions {
  readonly kubeConfig?: string;
}

type Given = Omit<DiagnoseOptions, "snapshot"> & Partial<DiagnoseOptions> & OldOptions;

/** `skoop`: `podskoop diagnose` under its predecessor's name. */
export function skoopProgram(terminal: Terminal): Command {
  const command: Command = withClientOptions(
    withQuestion(
      new Command("skoop")
        .description("podskoop diagnose under its predecessor's name"),
    )
      .option(
        "--snapshot <file>",
        "a node's snapshot; repeatable",
        (value, before: readonly string[] = []) => [...before, value],
      ),
  );
  const flags = [
    ...NEEDLESS.map((flag) => new Option(`${flag} <value>`)),
    ...NEEDLESS_FLAGS.map((flag) => new Option(`${flag} [value]`)),
  ];
  for (const flag of flags) command.addOption(flag.hideHelp());
  command.addOption(new Option("--kube-config <file>").hideHelp());
  command.version(`podskoop ${version}`, "--version", "which podskoop this is");
  return command.action(async (given: Given) => {
    const options: DiagnoseOptions & OldOptions = { snapshot: [], ...given };
    for (const flag of flags) {
      if (command.getOptionValueSource(flag.attributeName()) !== "cli") continue;
      terminal.err(`skoop: ${flag.long} is no longer needed: the walk sees what is there\n`);
    }
    await runDiagnosis(
      asPredecessor(options),
      command.getOptionValueSource("agent") === "cli",
      terminal,
    );
  });
}

/** Its words for ours: who reads its JSON knows its keys only. */
function asPredecessor({ kubeConfig, ...options }: DiagnoseOptions & OldOptions): DiagnoseOptions {
  return {
    ...options,
    ...(kubeConfig === undefined ? {} : { kubeconfig: kubeConfig }),
    ...(options.format === "json" ? { format: "kubeskoop-json" } : {}),
  };
}
