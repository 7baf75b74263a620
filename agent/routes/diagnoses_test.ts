import assert from "node:assert/strict";
import * as v from "valibot";
import { Diagnoses } from "../diagnoses.ts";
import { DiagnosisError, type DiagnosisQuestion } from "../diagnosis_process.ts";
import { HttpCounts } from "../http_counts.ts";
import { diagnosesRoute, diagnosisShape, oldDiagnoseRoute, PAGE_POLICY } from "./diagnoses.ts";

const TEXTS = {
  json: '{"format":"podskoop-diagnosis"}\n',
  text: "blocked\n",
  html: "<p>",
  svg: "",
};

async function packedTexts(): Promise<Uint8Array<ArrayBuffer>> {
  const packing = new Blob([JSON.stringify(TEXTS)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packing).arrayBuffer());
}

/** Both routes over diagnoses that end at once; `held` ones when they are let go. */
function made(hold?: Promise<void>) {
  const asked: DiagnosisQuestion[] = [];
  const diagnoses = new Diagnoses(async (question) => {
    asked.push(question);
    await hold;
    if (question.source === "nobody") throw new DiagnosisError("Cannot find nobody", true);
    const head = { verdict: "blocked", summary: "blocked at x" } as const;
    return { ...head, notes: ["n"], predecessor: "{}", packed: await packedTexts() };
  }, new HttpCounts());
  const [route, old] = [diagnosesRoute(diagnoses), oldDiagnoseRoute(diagnoses)];
  const post = (body: unknown, query = "", headers = {}) =>
    route.request(`/${query}`, { method: "POST", body: JSON.stringify(body), headers });
  return { asked, route, old, post };
}

const QUESTION = { source: "10.0.0.1", destination: "10.0.0.2", port: 80 };

Deno.test("POST /diagnoses answers with the document, and keeps it", async () => {
  const { asked, route, post } = made();
  const response = await post(QUESTION);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("location"), "/diagnoses/1");
  assert.equal(await response.text(), TEXTS.json);
  assert.deepEqual(asked, [QUESTION]);
  const listed = v.parse(v.array(diagnosisShape), await (await route.request("/")).json());
  const [{ start_time, finish_time, ...rest } = assert.fail("The list is empty")] = listed;
  assert.ok(Date.parse(start_time) <= Date.parse(finish_time ?? ""));
  assert.deepEqual(rest, {
    ...{ id: 1, task_id: 1, status: "success", question: QUESTION },
    ...{ task_config: JSON.stringify(QUESTION), verdict: "blocked", summary: "blocked at x" },
    ...{ notes: ["n"], message: "", result: "{}" },
  });
});

Deno.test("a diagnosis is there in every format, by name or by Accept", async () => {
  const { route, post } = made();
  assert.equal(await (await post(QUESTION, "?format=text")).text(), TEXTS.text);
  const page = await route.request("/1", { headers: { accept: "text/html,*/*;q=0.8" } });
  assert.equal(await page.text(), TEXTS.html);
  assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(page.headers.get("content-security-policy"), PAGE_POLICY);
  const plain = await route.request("/1?format=text", { headers: { accept: "text/html" } });
  assert.equal(await plain.text(), TEXTS.text);
  assert.equal((await route.request("/2")).status, 404);
  assert.equal((await route.request("/1e0")).status, 404);
});

Deno.test("POST /diagnoses does not wait where that is preferred", async () => {
  let release = () => {};
  const { route, old, post } = made(new Promise((resolve) => release = resolve));
  const accepted = await post(QUESTION, "", { prefer: "respond-async" });
  assert.equal(accepted.status, 202);
  assert.equal((await accepted.json()).status, "running");
  const running = await route.request("/1");
  assert.deepEqual([running.status, running.headers.get("retry-after")], [202, "1"]);
  for (let waiting = 0; waiting < 8; waiting++) {
    await post(QUESTION, "", { prefer: "respond-async" });
  }
  for (const refused of [await post(QUESTION), await old.request("/", body(QUESTION))]) {
    assert.equal(refused.status, 503);
    assert.match((await refused.json()).error, /Cannot diagnose as 8 others wait already/);
  }
  release();
});

function body(value: unknown): RequestInit {
  return { method: "POST", body: JSON.stringify(value) };
}

Deno.test("POST /diagnose takes and gives what the predecessor's does", async () => {
  const { asked, route, old } = made();
  const destination = { address: "10.0.0.2", port: 80 };
  const sent = { source: "10.0.0.1", destination, protocol: "tcp", source_endpoint: {} };
  const response = await old.request("/", body(sent));
  assert.deepEqual(await response.json(), { task_id: "1" });
  await route.request("/1");
  assert.deepEqual(asked, [{ ...QUESTION, protocol: "tcp" }]);
});

Deno.test("what is no question is 400, what cannot be answered 422", async () => {
  const { asked, post, route } = made();
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{ ...QUESTION, port: 0 }, /at "port": .*>=1/],
    [{ ...QUESTION, colour: "red" }, /at "colour": /],
    [{ destination: "a" }, /at "source": /],
    [{ ...QUESTION, protocol: "sctp" }, /at "protocol": /],
    [7, /at its top: /],
  ];
  for (const [sent, expected] of cases) {
    const response = await post(sent);
    assert.equal(response.status, 400);
    assert.match((await response.json()).error, expected);
  }
  const none = await route.request("/", { method: "POST", body: "source=a" });
  assert.match((await none.json()).error, /must be JSON, such as \{"source"/);
  assert.deepEqual(asked, []);
  const failed = await post({ ...QUESTION, source: "nobody" });
  assert.equal(failed.status, 422);
  assert.deepEqual(await failed.json(), { error: "Cannot find nobody" });
  const [{ status, message }] = await (await route.request("/")).json();
  assert.deepEqual([status, message], ["failed", "Cannot find nobody"]);
});
