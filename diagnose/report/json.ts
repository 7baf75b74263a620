/**
 * A diagnosis as a document for programs: `podskoop diagnose --format json`.
 *
 * @module
 */
import { backendText } from "../kube/service.ts";
import { formatAddress } from "../packet/address.ts";
import type { Packet } from "../packet/packet.ts";
import type { Resolution } from "../kube/dns.ts";
import type { Diagnosis, Question, Verification } from "../walk/diagnosis.ts";
import type { End, Step } from "../walk/trail.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { headline } from "./headline.ts";

/** Of the document; it goes up when a field changes its meaning. No field is ever null. */
export const DIAGNOSIS_VERSION = 1;

/** A packet, as far as a way changes it. */
export interface PacketDocument {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly mark: number;
  readonly ttl: number;
}

/** One place of a way. */
export interface StepDocument {
  readonly node: string;
  readonly namespace: string;
  readonly netns: number;
  readonly does: Step["does"];
  readonly device?: string;
  readonly text: string;
  /** How many tunnels are around the packet. */
  readonly depth: number;
  readonly packet: PacketDocument;
}

/** One way of a packet. */
export interface EndDocument {
  readonly verdict: End["verdict"];
  readonly chance: number;
  readonly cause?: string;
  readonly assumptions: readonly string[];
  readonly steps: readonly StepDocument[];
}

/** A name's lookup. */
export interface DnsDocument {
  readonly name: string;
  readonly by: Resolution["by"];
  readonly because?: string;
  readonly tried: Resolution["tried"];
  readonly addresses: readonly string[];
  readonly resolver: {
    readonly nameservers: readonly string[];
    readonly search: readonly string[];
    readonly ndots: number;
  };
  readonly nameservers: readonly {
    readonly address: string;
    readonly udp: DiagnosisDocument;
    readonly tcp: DiagnosisDocument;
  }[];
}

/** The whole. */
export interface DiagnosisDocument {
  readonly format: "podskoop-diagnosis";
  readonly version: typeof DIAGNOSIS_VERSION;
  readonly question: {
    readonly source: string;
    readonly destination: string;
    readonly protocol: Question["protocol"];
    readonly port?: number;
    /** The destination's, as it was asked for. */
    readonly name?: string;
  };
  /** How that name is looked up, and whether its nameservers are reached. */
  readonly dns?: DnsDocument;
  /** What a cluster's objects call both ends, and say of them. */
  readonly cluster?: {
    readonly source: string;
    readonly destination: string;
    readonly backends?: readonly string[];
    readonly enforcers: readonly string[];
    readonly policies: readonly {
      readonly to: string;
      readonly verdict: string;
      readonly egress: string;
      readonly ingress: string;
    }[];
  };
  readonly verdict: Diagnosis["verdict"];
  readonly summary: string;
  /** What a real packet did, where one was sent. */
  readonly verification?: Verification;
  readonly findings: readonly Finding[];
  readonly ways: readonly {
    readonly request: EndDocument;
    readonly answers: readonly EndDocument[];
  }[];
}

/** The document of a diagnosis. */
export function documentOf(diagnosis: Diagnosis): DiagnosisDocument {
  const { question, verdict, ways, resolution } = diagnosis;
  const { source, destination, protocol, port, lookup } = question;
  return {
    format: "podskoop-diagnosis",
    version: DIAGNOSIS_VERSION,
    question: {
      source: formatAddress(source),
      destination: formatAddress(destination),
      protocol,
      ...(port === undefined ? {} : { port }),
      ...(lookup === undefined ? {} : { name: lookup.name }),
    },
    ...(resolution === undefined ? {} : { dns: dnsDocument(resolution) }),
    ...clusterDocument(diagnosis),
    verdict,
    summary: headline(diagnosis),
    ...(diagnosis.verification === undefined ? {} : { verification: diagnosis.verification }),
    findings: findingsOf(diagnosis),
    ways: ways.map(({ request, answers }) => ({
      request: endDocument(request),
      answers: answers.map(endDocument),
    })),
  };
}

function dnsDocument(resolution: Resolution): DnsDocument {
  const { name, by, because, tried, addresses, resolver, nameservers } = resolution;
  return {
    ...{ name, by, tried, addresses: addresses.map(formatAddress) },
    ...(because === undefined ? {} : { because }),
    resolver: {
      nameservers: resolver.nameservers.map(formatAddress),
      ...{ search: resolver.search, ndots: resolver.ndots },
    },
    nameservers: nameservers.map(({ address, udp, tcp }) => ({
      ...{ address: formatAddress(address), udp: documentOf(udp), tcp: documentOf(tcp) },
    })),
  };
}

function clusterDocument({ opinion }: Diagnosis): Pick<DiagnosisDocument, "cluster"> {
  if (opinion === undefined) return {};
  const { source, destination, intent, enforcers, rulings } = opinion;
  return {
    cluster: {
      ...{ source, destination, enforcers },
      ...(intent === undefined ? {} : { backends: intent.backends.map(backendText) }),
      policies: rulings.map(({ to, rulings: { verdict, egress, ingress } }) => ({
        ...{ to, verdict, egress: egress.because, ingress: ingress.because },
      })),
    },
  };
}

function endDocument({ verdict, cause, trail: { steps, chance, assumptions } }: End): EndDocument {
  return {
    verdict,
    chance,
    ...(cause === undefined ? {} : { cause: cause.id }),
    assumptions,
    steps: steps.map((step) => ({
      node: step.namespace.node,
      namespace: step.namespace.label,
      netns: step.namespace.snapshot.netns,
      does: step.does,
      ...(step.device === undefined ? {} : { device: step.device }),
      text: step.text,
      depth: step.depth,
      packet: packetDocument(step.packet),
    })),
  };
}

function packetDocument(packet: Packet): PacketDocument {
  const { protocol, sourcePort, destinationPort, mark, ttl } = packet;
  return {
    source: formatAddress(packet.source),
    destination: formatAddress(packet.destination),
    protocol,
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
    mark,
    ttl,
  };
}
