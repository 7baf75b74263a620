/**
 * An hour of a busy node in three minutes: 3,600 namespaces that live for a moment, and 200,000
 * connections in them and in one that stays and tracks them, with every probe on. What the agent
 * and the kernel hold must be as flat at the end as it was after a third, which is as long as a
 * namespace that is gone is remembered. Another number of namespaces is an argument.
 *
 * @module
 */
import { AgentUnderTest, BINARY, run, sleep } from "../host/lab.ts";
import { Maker } from "../host/maker.ts";
import { figure, rssMb, title } from "./figures.ts";

const NAMESPACES = Number(Deno.args[0] ?? 3_600);
const PER_SECOND = 20;
/** In each namespace, and as many in the one that stays. */
const CONNECTIONS = 28;
/** Where `churn.ts` of the host tests asks. */
const DNS = 5_053;
const SCRAPE_MS = 5_000;
/** For as long the agent remembers a namespace that is gone, and some for it to notice. */
const REMEMBERED_MS = 75_000;
/** What the end may have more than a third had. */
const RATIO_MAX = 1.1;
const NAME = `churn-${Deno.pid.toString(36)}`;

/** What is held at one moment. */
interface Held {
  readonly rss: number;
  readonly descriptors: number;
  readonly series: number;
  readonly maps: ReadonlyMap<string, number>;
  readonly lost: ReadonlyMap<string, number>;
}

function seriesOf(text: string, name: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (!line.startsWith(`${name}{`)) continue;
    const [, unit, map] = /unit="(\w+)",map="(\w+)"/.exec(line) ?? [];
    found.set(`${unit} ${map}`, Number(line.slice(line.lastIndexOf(" ") + 1)));
  }
  return found;
}

async function held(agent: AgentUnderTest): Promise<Held> {
  const { text } = await agent.metrics();
  const evicted = seriesOf(text, "podskoop_bpf_map_evictions_total");
  const refused = seriesOf(text, "podskoop_bpf_map_refusals_total");
  return {
    rss: rssMb(agent.pid),
    descriptors: [...Deno.readDirSync(`/proc/${agent.pid}/fd`)].length,
    series: text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length,
    maps: seriesOf(text, "podskoop_bpf_map_entries"),
    lost: new Map([...refused, ...evicted].filter(([, count]) => count > 0)),
  };
}

/** Makes namespaces until there have been `until`, at their rate; how many scrapes it made. */
async function churn(from: number, until: number, maker: Maker, agent: AgentUnderTest) {
  const began = performance.now();
  let scraped = began;
  for (let index = from; index < until; index++) {
    await maker.live(NAME, index, CONNECTIONS);
    if (performance.now() - scraped > SCRAPE_MS) {
      scraped = performance.now();
      await agent.metrics();
    }
    const ahead = (index - from + 1) * 1_000 / PER_SECOND - (performance.now() - began);
    if (ahead > 0) await sleep(ahead);
  }
}

function print(text: string, { rss, descriptors, series, maps, lost }: Held): void {
  title(text);
  figure("RSS", rss, "MB");
  figure("descriptors", descriptors, "");
  figure("series", series, "");
  for (const [map, entries] of maps) if (entries > 0) figure(`entries: ${map}`, entries, "");
  for (const [map, count] of lost) figure(`pushed out or refused: ${map}`, count, "");
}

function compare(early: Held, late: Held, end: Held): void {
  title("flat?");
  figure("RSS, end to a third", late.rss / early.rss, "", RATIO_MAX);
  figure("descriptors, end to a third", late.descriptors / early.descriptors, "", 1);
  figure("series, end to a third", late.series / early.series, "", RATIO_MAX);
  for (const [map, entries] of late.maps) {
    const before = early.maps.get(map) ?? 0;
    if (entries > 100) figure(`entries: ${map}`, entries / Math.max(before, 1), "", RATIO_MAX);
  }
  for (const [map, entries] of end.maps) {
    if (entries > 100) figure(`entries long after: ${map}`, entries, "", 100);
  }
}

const listed: readonly { name: string; kind: string }[] = JSON.parse(
  await run(BINARY, "probes", "--json"),
);
const probes = listed.filter(({ kind }) => kind === "probe")
  .map(({ name }) => [name, name === "dns" ? { metrics: true, port: DNS } : true]);
await using agent = await AgentUnderTest.start({
  config: JSON.stringify({ probes: Object.fromEntries(probes) }),
});
await using maker = new Maker();
await maker.do(`make ${NAME}`);
try {
  const tracking = "table inet churn { chain in { type filter hook input priority 0; " +
    "ct state new counter; }; };";
  await run("ip", "netns", "exec", NAME, "nft", tracking);
  await agent.metrics();
  print("at the start", await held(agent));
  const third = Math.ceil(NAMESPACES / 3);
  await churn(0, third, maker, agent);
  const early = await held(agent);
  print(`after ${third} namespaces`, early);
  await churn(third, NAMESPACES, maker, agent);
  const late = await held(agent);
  print(`after ${NAMESPACES} namespaces`, late);
  const conntrack = await run("ip", "netns", "exec", NAME, "conntrack", "-C");
  figure("connections that are tracked", Number(conntrack), "");
  for (let waited = 0; waited < REMEMBERED_MS; waited += SCRAPE_MS) {
    await sleep(SCRAPE_MS);
    await agent.metrics();
  }
  const end = await held(agent);
  print("when they are forgotten", end);
  compare(early, late, end);
} finally {
  await maker.do(`remove ${NAME}`);
}
