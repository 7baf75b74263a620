/**
 * Runs the agent from its start to its end: `podskoop agent`.
 *
 * @module
 */
import { keepLittleMemory } from "../bpf/libc.ts";
import { enableStatistics } from "../bpf/object.ts";
import { type PinDir, preparePinDir, removeStale } from "../bpf/pins.ts";
import { type Kernel, readKernel } from "../bpf/kernel.ts";
import { unitCards } from "./config/cards.ts";
import type { Config, UnitCard } from "./config/config.ts";
import { CONFIG_FILE, defaultConfig } from "./config/defaults.ts";
import { type Overrides, readConfig } from "./config/read.ts";
import { readText, watchConfig } from "./config/watch.ts";
import { diagnosesOf } from "./diagnoses.ts";
import { discoverCollectors, discoverProbes } from "./discover.ts";
import { EventPipeline } from "./events/pipeline.ts";
import { EventStore } from "./events/store.ts";
import { HttpCounts } from "./http_counts.ts";
import { log, setLevel } from "./log.ts";
import { findMissing } from "./missing.ts";
import { MountWatch } from "./namespaces/mounts.ts";
import { NamespaceVisitor } from "./namespaces/visitor.ts";
import { overview } from "./overview.ts";
import { CriSource } from "./pods/cri/cri.ts";
import { ownIdentity } from "./pods/sidecar.ts";
import { DockerSource } from "./pods/docker/docker.ts";
import { KubernetesSource } from "./pods/kubernetes/kubernetes.ts";
import { Identities } from "./pods/identities.ts";
import type { IdentitySource } from "./pods/identity.ts";
import { NamespaceTable, TICK_MILLISECONDS } from "./pods/table.ts";
import { RunningAgent } from "./running_agent.ts";
import { ProgramSampling } from "./sampling.ts";
import { serve, type Server } from "./server.ts";
import type { Status } from "./surface.ts";
import { Units } from "./units.ts";
import { version } from "./version.ts";

/** What the command line says. */
export interface RunOptions {
  /** The configuration's file; without it, the usual one if it is there, else the defaults. */
  readonly configFile?: string;
  readonly overrides: Overrides;
}

/** Runs until SIGTERM or SIGINT; the exit code. */
export async function runAgent(options: RunOptions): Promise<number> {
  keepLittleMemory();
  try {
    return await run(options);
  } catch (error) {
    log.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

async function run({ configFile, overrides }: RunOptions): Promise<number> {
  using signals = listenForSignals();
  const [probes, collectors] = await Promise.all([discoverProbes(), discoverCollectors()]);
  const cards = unitCards(probes, collectors);
  const file = configFile ?? CONFIG_FILE;
  const start = await firstConfig(file, configFile !== undefined, cards, overrides);
  const { config } = start;
  setLevel(config.logLevel);
  log.info(`podskoop ${version} starts`, { kernel: Deno.osRelease(), node: config.nodeName });

  const kernel = readKernel(config.btf === undefined ? {} : { btf: config.btf });
  const pins = await takePins(config.pinDir, kernel, probes.map(({ name }) => name));
  const visitor = new NamespaceVisitor();
  const table = new NamespaceTable({ visitor, alone: config.sidecar });
  const hostNetns = config.sidecar ? 0 : table.processes.hostNetns;
  const units = new Units({ probes, collectors, kernel, hostNetns, ...pins });
  const identities = new Identities({ table, ...namesOf(config), node: config.nodeName });
  const mounts = config.sidecar ? undefined : mountWatch(table, identities);
  const store = new EventStore({ dataDir: config.dataDir, ...config.events.store });
  const pipeline = new EventPipeline({ config: config.events, store });
  signals.onHangUp = () => pipeline.reopen();
  const counts = new HttpCounts();
  let missing: Status["missing"] = [];
  let lastGood = config;
  let server: Server | undefined;
  const open = async (wanted: Config) => {
    const before = server;
    server = undefined;
    await before?.close();
    server = await serve({ agent, counts, diagnoses, ...listening(wanted) });
  };
  using sampling = programSampling(kernel);
  const agent = new RunningAgent(
    {
      ...{ kernel, units, visitor, table, identities, store, pipeline, cards, overrides },
      missing: () => missing,
      ...{ http: counts, sampling },
      listenAnew: async (wanted) => {
        try {
          await open(wanted);
          lastGood = wanted;
        } catch (error) {
          await open(lastGood);
          throw error;
        }
      },
    },
    config,
    start.origin,
  );
  const diagnoses = diagnosesOf(agent, counts, config.sidecar ? {} : config);
  if (start.problem !== undefined) agent.configProblem(start.problem);
  try {
    await open(config);
    await agent.start();
    mounts?.start();
    missing = await findMissing(config);
    if (agent.hasFailures()) warnOf(missing);
    const url = server?.url ?? "";
    log.info(`Listening on ${url} and ${config.socket}`);
    if (Deno.stdout.isTerminal()) await overview(agent, url, config.socket);
    await untilStopped(agent, signals.stopped, file, start.text);
    log.info("Stopping");
  } finally {
    await Promise.all([diagnoses.close(), server?.close(), mounts?.close()]);
    await agent.stop();
    pins.lock?.[Symbol.dispose]();
  }
  return 0;
}

function warnOf(missing: Status["missing"]): void {
  for (const { what, disables, remedy } of missing) {
    log.warn(`Missing: ${what}. It disables ${disables}. To do: ${remedy}`);
  }
}

/** What of the configuration the server takes. */
function listening({ listen, socket, access, nodeName }: Config) {
  return { listen, socket, access, nodeName };
}

/**
 * The sources of names, the best first: the Kubernetes API knows labels as they are now. A sidecar
 * has its own name, and no business with others'.
 */
function namesOf({ runtimeEndpoint, kubernetes, nodeName, sidecar }: Config) {
  if (sidecar) return { sources: [], self: ownIdentity() };
  const sources: readonly IdentitySource[] = [
    new KubernetesSource({ ...kubernetes, node: nodeName }),
    new CriSource(runtimeEndpoint === undefined ? {} : { endpoint: runtimeEndpoint }),
    new DockerSource(),
  ];
  return { sources };
}

/** Looks at the node as soon as a namespace that is not known has been mounted. */
function mountWatch(table: NamespaceTable, identities: Identities): MountWatch {
  return new MountWatch((mounts) => {
    if (table.lacksAny(mounts)) identities.tick().catch(cannotLook);
  });
}

function cannotLook(error: unknown): void {
  log.error(`Cannot look at the node: ${error}`);
}

/** Ticks, and follows the configuration's file, until a signal says to stop. */
async function untilStopped(
  agent: RunningAgent,
  stopped: Promise<void>,
  file: string,
  text: string | undefined,
): Promise<void> {
  let ticking = false;
  const timer = setInterval(() => {
    if (ticking) return; // a slow look is not joined by a second one
    ticking = true;
    agent.tick().catch(cannotLook).finally(() => {
      ticking = false;
    });
  }, TICK_MILLISECONDS);
  using _watch = watchConfig(file, {
    changed: async (changed) => {
      const result = await agent.configure(changed, file);
      if (result.ok) {
        log.info(`Took the configuration "${file}"`, { changed: result.changed.join(", ") });
        for (const warning of result.warnings) log.warn(warning);
      } else for (const error of result.errors) log.error(error);
    },
    problem: (message) => {
      log.warn(message);
      agent.configProblem(message);
    },
  }, text === undefined ? {} : { text });
  await stopped;
  clearInterval(timer);
}

interface Signals extends Disposable {
  /** Resolves at SIGTERM or SIGINT. */
  readonly stopped: Promise<void>;
  /** What SIGHUP does, besides reading the configuration again. */
  onHangUp: () => void;
}

/**
 * Listens from the start on: a signal that comes while the agent is starting must find it tidy,
 * too.
 */
function listenForSignals(): Signals {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  const hangUp = () => signals.onHangUp();
  const listeners = [["SIGTERM", stop], ["SIGINT", stop], ["SIGHUP", hangUp]] as const;
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  const signals: Signals = {
    stopped: promise,
    onHangUp: () => {},
    [Symbol.dispose]() {
      for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
    },
  };
  return signals;
}

interface FirstConfig {
  readonly config: Config;
  readonly origin: string;
  readonly text?: string;
  readonly problem?: string;
}

/**
 * The configuration to start with. A mistake in one probe costs that one; any other ends the start.
 */
async function firstConfig(
  file: string,
  asked: boolean,
  cards: readonly UnitCard[],
  overrides: Overrides,
): Promise<FirstConfig> {
  let text: string;
  try {
    text = await readText(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && !asked) {
      return { config: { ...defaultConfig(cards), ...overrides }, origin: "defaults" };
    }
    throw new Error(
      `Cannot read the configuration "${file}": ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
  const read = readConfig(text, file, cards, overrides, "lenient");
  if ("errors" in read) throw new Error(read.errors.join("\n"));
  for (const warning of read.warnings) log.warn(warning);
  const problem = read.mistakes.join("; ");
  return { config: read.config, origin: file, text, ...(problem === "" ? {} : { problem }) };
}

interface Pins {
  readonly pinDir: string | undefined;
  readonly whyNoPins?: string;
  readonly lock?: PinDir;
}

/** Takes the pin directory. Without one, probes cannot run and say why; collectors can. */
async function takePins(dir: string, kernel: Kernel, names: readonly string[]): Promise<Pins> {
  let lock: PinDir;
  try {
    lock = preparePinDir(dir);
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    // Another agent's directory must not be shared; what a node lacks only costs the probes.
    if (/another agent/i.test(because)) throw error;
    log.warn(because);
    return { pinDir: undefined, whyNoPins: because };
  }
  if (!kernel.btf) log.warn(kernel.whyNoBtf ?? "The kernel has no BTF");
  for (const name of await removeStale(lock, new Set(names))) {
    log.info(`Removed what an earlier agent left of the probe "${name}"`);
  }
  return { pinDir: dir, lock };
}

/**
 * Run time of BPF programs, so that the agent can say what it costs. Undefined where it may not be
 * switched on.
 */
function programSampling(kernel: Kernel): ProgramSampling | undefined {
  if (!kernel.btf) return undefined;
  try {
    return new ProgramSampling({ enable: enableStatistics });
  } catch (error) {
    log.debug(`Cannot measure BPF programs: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}
