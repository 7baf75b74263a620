/**
 * `podskoop diagnose --verify`: a real packet beside the walk, and what a running agent's probes
 * saw of it.
 *
 * @module
 */
import { formatAddress } from "../../diagnose/packet/address.ts";
import type { Packet } from "../../diagnose/packet/packet.ts";
import type { Diagnosis, Verification } from "../../diagnose/walk/diagnosis.ts";
import type { Event } from "../events/event.ts";
import { eventsShape } from "../routes/shapes.ts";
import { AgentClient, type ClientOptions } from "./client.ts";
import { Failure } from "./terminal.ts";

/** Events that are looked through, and shown. */
const EVENTS_MAX = 1_000;
const SHOWN_MAX = 8;
/** Rings are emptied every 100 ms, and events stored every 50 ms. */
const ARRIVAL_MILLISECONDS = 400;

type Seen = NonNullable<Verification["seen"]>;

/** One packet after the other, so that none is in another's way. */
export async function verified(
  diagnoses: readonly Diagnosis[],
  options: Pick<ClientOptions, "agent" | "tokenFile" | "caFile"> | undefined,
): Promise<readonly Diagnosis[]> {
  const { verify } = await import("../../diagnose/verify/verify.ts");
  const told: Diagnosis[] = [];
  for (const diagnosis of diagnoses) {
    const since = Date.now();
    const verification = await verify(diagnosis);
    const isSent = verification.outcome !== "not sent";
    const events = options !== undefined && isSent ? await eventsOf(diagnosis, since, options) : [];
    const seen = [...events, ...verification.seen ?? []];
    told.push({
      ...diagnosis,
      verification: seen.length === 0 ? verification : { ...verification, seen },
    });
  }
  return told;
}

/** What the agent's probes saw of the packet; nothing where no agent answers, or may be asked. */
async function eventsOf(
  diagnosis: Diagnosis,
  since: number,
  options: Pick<ClientOptions, "agent" | "tokenFile" | "caFile">,
): Promise<Seen> {
  await new Promise((resolve) => setTimeout(resolve, ARRIVAL_MILLISECONDS));
  try {
    using client = new AgentClient(options);
    const query = new URLSearchParams({ since: `${since}`, limit: `${EVENTS_MAX}` });
    const { events } = await client.json(`/events?${query}`, eventsShape);
    return ofPacket(events, diagnosis).slice(0, SHOWN_MAX);
  } catch (error) {
    if (error instanceof Failure) return [];
    throw error;
  }
}

/** The events whose both ends are those of the packet, in any place of its ways. */
export function ofPacket(events: readonly Event[], { ways, question }: Diagnosis): Seen {
  const pairs = new Set([pairOf(question.source, question.destination)]);
  for (const { request, answers } of ways) {
    for (const { trail: { steps }, packet } of [request, ...answers]) {
      for (const each of [packet, ...steps.map((step) => step.packet)]) {
        pairs.add(pairOf(each.source, each.destination));
      }
    }
  }
  return events.filter(({ source, destination }) =>
    pairs.has([source?.address, destination?.address].sort().join())
  ).map(({ type, pod, message }) => ({
    by: "event",
    where: pod === undefined ? "an unknown namespace" : `${pod.namespace}/${pod.name}`,
    text: `${type}: ${message}`,
  }));
}

function pairOf(source: Packet["source"], destination: Packet["destination"]): string {
  return [formatAddress(source), formatAddress(destination)].sort().join();
}
