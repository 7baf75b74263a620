/**
 * The page of a diagnosis, and the console, in a real browser.
 *
 * Needs root, for the console's agent.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Browser, type View } from "../browser.ts";
import { AgentUnderTest, BINARY } from "../host/lab.ts";
import { forwarding, madeSnapshot } from "../made_network.ts";

/** A name that is markup, a string's end and a terminal's escape at once. */
const EVIL = `b"]<img src=x onerror="window.evil=1"><script>evil=1</script>'&\x1b[31m`;

const RULES = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n" +
  `-A INPUT -p tcp -m tcp --dport 81 -m comment --comment "<b>evil</b>" -j DROP\nCOMMIT\n`;

/** Two pods over a node; the second has a name that means harm, and a rule that drops. */
function evilSnapshot() {
  const pod = (own: number, port: string) => ({
    devices: {
      eth0: { kind: "veth", to: ["node", port] as const, addresses: [`10.0.${own}.2/24`] },
    },
    routes: [{ gateway: `10.0.${own}.1`, dev: "eth0" }],
    listeners: own === 1 ? ["tcp * 80"] : [],
    ...(own === 1 ? { more: { iptablesNft: RULES } } : {}),
  });
  const port = (other: string, own: number) => ({
    ...{ kind: "veth", to: [other, "eth0"] as const, addresses: [`10.0.${own}.1/24`] },
  });
  return madeSnapshot({
    node: { devices: { va: port("a", 0), vb: port(EVIL, 1) }, sysctls: forwarding("va", "vb") },
    ...{ a: pod(0, "va"), [EVIL]: pod(1, "vb") },
  });
}

/** What `podskoop diagnose --http` shows of it. */
class Shown implements AsyncDisposable {
  private constructor(readonly url: string, readonly child: Deno.ChildProcess) {}

  static async start(port: number): Promise<Shown> {
    const dir = await Deno.makeTempDir({ prefix: "page-" });
    try {
      await Deno.writeTextFile(`${dir}/s.json`, JSON.stringify(evilSnapshot()));
      const child = new Deno.Command(BINARY, {
        args: [
          ...["diagnose", "--snapshot", `${dir}/s.json`, "-s", "10.0.0.2", "-d", "10.0.1.2"],
          ...["-p", String(port), "--http", "--http-address", "127.0.0.1:0"],
        ],
        ...{ stdout: "null", stderr: "piped" },
      }).spawn();
      let said = "";
      for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
        said += chunk;
        const url = /http:\S+/.exec(said)?.[0];
        if (url !== undefined) return new Shown(url, child);
      }
      throw new Error(`Cannot show the page: ${said}`);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGTERM");
    await this.child.status;
  }
}

const VIEWS: readonly View[] = [
  { width: 1280 },
  { width: 1280, scheme: "dark" },
  { width: 400 },
  { width: 1280, media: "print" },
];

/** What a page has to tell of itself. */
const LOOK = `({
  heading: document.querySelector("h1").innerText,
  verdict: document.querySelector(".verdict").innerText,
  findings: [...document.querySelectorAll("article h3")].map((each) => each.innerText),
  confirm: document.querySelector("dd.do")?.innerText ?? "",
  evidence: document.querySelector("dd.evidence")?.innerText ?? "",
  places: document.querySelectorAll("svg rect.place").length,
  hops: document.querySelectorAll("svg path.hop").length,
  foreign: document.querySelectorAll("img, script, b, link, iframe").length,
  evil: String(window.evil),
  width: document.documentElement.scrollWidth,
  steps: document.querySelector("details ol").checkVisibility({ contentVisibilityAuto: true }),
  paper: getComputedStyle(document.body).backgroundColor,
})`;

interface Look {
  readonly heading: string;
  readonly verdict: string;
  readonly findings: readonly string[];
  readonly confirm: string;
  readonly evidence: string;
  readonly places: number;
  readonly hops: number;
  readonly foreign: number;
  readonly evil: string;
  readonly width: number;
  readonly steps: boolean;
  readonly paper: string;
}

async function look(browser: Browser, url: string, view: View): Promise<Look> {
  await browser.open(url, view);
  const seen = await browser.evaluate(LOOK) as Look;
  const shown = JSON.stringify(view);
  assert.deepEqual(browser.errors, [], shown);
  assert.ok(browser.requests.every((each) => each.startsWith(url)), browser.requests.join());
  assert.deepEqual([seen.foreign, seen.evil], [0, "undefined"], shown);
  assert.ok(seen.width <= view.width, `${shown}: ${seen.width}`);
  return seen;
}

Deno.test("the page says where a packet dies, in every light, width and on paper", async () => {
  await using shown = await Shown.start(81);
  await using browser = await Browser.start();
  const papers: string[] = [];
  for (const view of VIEWS) {
    const seen = await look(browser, shown.url, view);
    assert.equal(seen.verdict, "BLOCKED");
    assert.match(seen.heading, /^at netns b"\]<img src=x onerror="window\.evil=1"><script>.*drops/);
    assert.deepEqual(seen.findings, ["rule 1 of filter INPUT drops it"]);
    assert.match(seen.evidence, /-A INPUT -p tcp -m tcp --dport 81 .*<b>evil<\/b>.* -j DROP/);
    assert.match(seen.confirm, /iptables-nft -t filter -vnL INPUT 1$/);
    assert.deepEqual([seen.places, seen.hops], [4, 3]);
    assert.equal(seen.steps, view.media === "print");
    papers.push(seen.paper);
  }
  const [light, dark, narrow, print] = papers;
  assert.equal(light, "rgb(255, 255, 255)");
  assert.notEqual(dark, light);
  assert.deepEqual([narrow, print], [light, light]);
  const pdf = await browser.print();
  assert.equal(new TextDecoder().decode(pdf.subarray(0, 5)), "%PDF-");
});

Deno.test("the page of what gets through has both ways, and nothing to do", async () => {
  await using shown = await Shown.start(80);
  await using browser = await Browser.start();
  const seen = await look(browser, shown.url, { width: 1280 });
  assert.equal(seen.verdict, "REACHABLE");
  assert.match(seen.heading, /^tcp arrives at 10\.0\.1\.2:80 in netns b"\]<img/);
  assert.deepEqual([seen.findings, seen.places, seen.hops], [[], 3, 4]);
});

Deno.test("the console shows the node and its pods, diagnoses, and asks nobody else", async () => {
  await using agent = await AgentUnderTest.start();
  let refusing = false;
  // As `ssh -L` to the socket does it.
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async ({ url, method, signal, body: sent }) => {
      const { pathname, search } = new URL(url);
      if (refusing && /^\/(metrics$|events)/.test(pathname)) {
        return Response.json({ error: "Cannot GET it" }, { status: 403 });
      }
      const init = { method, signal, ...(sent === null ? {} : { body: sent }) };
      const { status, headers, body } = await agent.ask(pathname + search, init);
      return new Response(body, { status, headers });
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}/`;
  await using browser = await Browser.start();
  for (const view of VIEWS.slice(0, 3)) {
    await browser.open(url, view);
    const names = await browser.evaluate(`new Promise((resolve) => {
      const looking = setInterval(() => {
        const rows = document.querySelectorAll("#pods-body tr");
        if (rows.length === 0 || !document.querySelector("#node").innerText) return;
        clearInterval(looking);
        resolve([document.querySelector("#node").innerText, rows[0].innerText]);
      }, 50);
    })`);
    assert.match(JSON.stringify(names), /lab-node/);
    assert.deepEqual(browser.errors, []);
    assert.ok(browser.requests.every((each) => each.startsWith(url)), browser.requests.join());
    const width = await browser.evaluate("document.documentElement.scrollWidth");
    assert.ok(Number(width) <= view.width, `${view.width}: ${width}`);
  }
  const answer = await browser.evaluate(`new Promise((resolve) => {
    const put = (id, value) => document.getElementById("diagnose-" + id).value = value;
    put("from", "127.0.0.1"), put("to", "127.0.0.1"), put("port", "1");
    document.getElementById("diagnose").requestSubmit();
    const looking = setInterval(() => {
      if (document.getElementById("diagnose-go").disabled) return;
      clearInterval(looking);
      resolve(document.getElementById("diagnose-answer").innerText);
    }, 50);
  })`);
  assert.match(String(answer), /^blocked at node lab-node: nothing listens on tcp port 1 /);
  assert.deepEqual(browser.errors, []);
  refusing = true;
  await browser.open(url, { width: 1280 });
  const unseen = await browser.evaluate(`new Promise((resolve) => {
    const looking = setInterval(() => {
      if (document.getElementById("connection").dataset.state !== "bad") return;
      clearInterval(looking);
      const words = (id) => document.getElementById(id).innerText.replaceAll(/\\s+/g, " ").trim();
      resolve([words("events-list"), words("legend")]);
    }, 50);
  })`);
  const none = "No events to show: no rights to see events";
  assert.deepEqual(unseen, [none, "Drops– Resets–"]);
  // Its stream of events ends before what carries it does.
  await browser.open("about:blank", { width: 400 });
});
