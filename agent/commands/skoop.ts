/**
 * The predecessor's diagnosis, for a link called `skoop`: its command lines go on working.
 *
 * @module
 */
import { Command, Option } from "commander";
import { withClientOptions } from "./client.ts";
import { type DiagnoseOptions, runDiagnosis, withQuestion } from "./diagnose.ts";
import type { Terminal } from "./terminal.ts";

/** What the predecessor had to be told, and the walk sees by itself. */
const NEEDLESS = [
  ...["--cloud-provider", "--network-plugin", "--proxy-mode", "--cluster-cidr"],
  ...["--collector-image", "--collector-image-pull-policy", "--collector-namespace"],
  ...["--collector-cri-address", "--collector-pod-wait-interval", "--collector-pod-wait-timeout"],
  ...["--flannel-backend-type", "--flannel-bridge", "--flannel-pod-mtu", "--flannel-ip-masq"],
  ...["--flannel-host-interface", "--calico-host-interface", "--calico-host-mtu"],
  ...["--calico-pod-mtu", "--calico-ipip-pod-mtu", "--aliyun-access-key-id"],
  ...["--aliyun-access-key-secret", "--aliyun-security-token", "--kube-config"],
] as const;

/** Flags of it that have no value. */
const NEEDLESS_FLAGS = ["--preserve-collector-pod"] as const;

/** `skoop`: `podskoop diagnose` under its predecessor's name. */
export function skoopProgram(terminal: Terminal): Command {
  const command: Command = withClientOptions(
    withQuestion(
      new Command("skoop")
        .description("podskoop diagnose under its predecessor's name"),
    )
      .option("--snapshot <file>", "a node's snapshot; repeatable", (value, before: string[]) => [
        ...before,
        value,
      ], []),
  );
  for (const flag of NEEDLESS) command.addOption(new Option(`${flag} <value>`).hideHelp());
  for (const flag of NEEDLESS_FLAGS) command.addOption(new Option(flag).hideHelp());
  return command.action(async (options: DiagnoseOptions) => {
    const given = (flags: readonly string[]) =>
      flags.filter((flag) => command.getOptionValueSource(keyOf(flag)) === "cli");
    for (const flag of given([...NEEDLESS, ...NEEDLESS_FLAGS])) {
      terminal.err(`skoop: ${flag} is no longer needed: the walk sees what is there\n`);
    }
    await runDiagnosis(options, command.getOptionValueSource("agent") === "cli", terminal);
  });
}

/** The name that commander keeps a flag's value by. */
function keyOf(flag: string): string {
  return flag.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
