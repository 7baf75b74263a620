/**
 * `podskoop diagnose --for-agent`: one diagnosis of this node, which the agent's `/diagnoses` asks
 * for on standard input, and gets in every format on standard output.
 *
 * @module
 */
import * as v from "valibot";
import { Cluster } from "../../diagnose/kube/cluster.ts";
import { clusterObjects } from "../../diagnose/kube/reading.ts";
import { headline } from "../../diagnose/report/headline.ts";
import { readSnapshot } from "../../diagnose/snapshot/format.ts";
import type { Diagnosis } from "../../diagnose/walk/diagnosis.ts";
import { Network } from "../../diagnose/walk/network.ts";
import type { DiagnosisTask } from "../diagnosis_process.ts";
import { findApiServer } from "../kubernetes/api_server.ts";
import { ApiClient } from "../kubernetes/client.ts";
import { jsonText } from "../routes/answer.ts";
import { questionShape } from "../routes/diagnoses.ts";
import { snapshotHere } from "./collect.ts";
import { questionOf } from "./diagnose.ts";
import { inAllFormats } from "./diagnose_formats.ts";
import { diagnosed, namesOf } from "./diagnose_objects.ts";
import { verified } from "./diagnose_verify.ts";
import type { Terminal } from "./terminal.ts";

/** Longest predecessor's document that goes into the list of diagnoses. */
const LISTED_CHARACTERS_MAX = 64 * 1024;

const text = v.string();

const taskShape = v.object({
  node: text,
  owners: v.array(v.unknown()),
  question: v.strictObject({ ...questionShape.entries, source: text, destination: text }),
  socket: v.exactOptional(text),
  kubernetes: v.exactOptional(v.object({ kubeconfig: v.exactOptional(text) })),
});

/** Reads the task, diagnoses, and writes the answer; fails as `podskoop diagnose` does. */
export async function diagnoseForAgent(terminal: Pick<Terminal, "out">): Promise<void> {
  const task: DiagnosisTask = v.parse(
    taskShape,
    JSON.parse(await new Response(Deno.stdin.readable).text()),
  );
  const notes: string[] = [];
  const [network, cluster] = await Promise.all([networkOf(task), clusterIn(task, notes)]);
  const { source: src, destination: dst, port, protocol = "tcp", ...rest } = task.question;
  const { sourcePort, mark, uid, netns } = rest;
  const options = {
    ...(netns === undefined ? {} : { netns }),
    ...(sourcePort === undefined ? {} : { sourcePort: `${sourcePort}` }),
    ...(mark === undefined ? {} : { mark: `${mark}` }),
    ...(uid === undefined ? {} : { uid: `${uid}` }),
  };
  const words = { src, dst, port: port === undefined ? undefined : `${port}`, protocol };
  const question = questionOf(options, words, "", namesOf(network, cluster));
  const told = diagnosed(network, question, cluster);
  const agent = task.socket === undefined ? undefined : { agent: { unix: task.socket } };
  const [sent = told] = rest.verify === true ? await verified([told], agent) : [];
  answer(sent, notes, terminal);
}

function answer(diagnosis: Diagnosis, notes: readonly string[], terminal: Pick<Terminal, "out">) {
  const formats = inAllFormats(diagnosis);
  const old = formats["kubeskoop-json"] ?? "";
  const head = {
    ...{ verdict: diagnosis.verdict, summary: headline(diagnosis), notes },
    predecessor: old.length > LISTED_CHARACTERS_MAX ? "" : old,
  };
  terminal.out(`${jsonText(head)}\n${jsonText(formats)}\n`);
}

async function networkOf({ node, owners }: DiagnosisTask): Promise<Network> {
  const { knownShape } = await import("../../diagnose/snapshot/subjects.ts");
  const pieces = snapshotHere({ pods: [], netns: [] }, v.parse(knownShape, { node, owners }));
  const text = (await Array.fromAsync(pieces)).join("");
  return new Network([readSnapshot(new TextEncoder().encode(text))]);
}

/** The cluster's objects, where the agent asks an API for names; without them the walk goes on. */
async function clusterIn(
  { kubernetes }: DiagnosisTask,
  notes: string[],
): Promise<Cluster | undefined> {
  if (kubernetes === undefined) return undefined;
  try {
    const server = await findApiServer(kubernetes.kubeconfig);
    if (server === undefined) return undefined;
    using client = new ApiClient(server);
    const { objects, mistakes } = await clusterObjects(client);
    notes.push(...mistakes.map((mistake) => `passed over ${mistake}`));
    return new Cluster(objects);
  } catch (error) {
    notes.push(`without a cluster's objects: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}
