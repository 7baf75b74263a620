/**
 * `GET /diagnoses`, `POST /diagnoses`, `GET /diagnoses/ID`; and `POST /diagnose`, as the
 * predecessor had it.
 *
 * @module
 */
import { Hono } from "hono";
import * as v from "valibot";
import type { Diagnoses, Kept } from "../diagnoses.ts";
import { DIAGNOSES_WAITING_MAX } from "../diagnoses.ts";
import { type DiagnosisQuestion, textsOf } from "../diagnosis_process.ts";
import { mistakeOf } from "../shape_mistake.ts";
import { answer, answerError, answerJson } from "./answer.ts";
import { readBody } from "./body.ts";
import type { Operations } from "./operation.ts";
import { choice, readQuery } from "./query.ts";

/** What a page may do that is a diagnosis: have its own style, and nothing else. */
export const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'";

/** Formats of an answer, each with its media type. */
const TYPES = {
  json: "application/json",
  text: "text/plain; charset=utf-8",
  html: "text/html; charset=utf-8",
  svg: "image/svg+xml",
  d2: "text/plain; charset=utf-8",
  mermaid: "text/plain; charset=utf-8",
  "kubeskoop-json": "application/json",
} as const;

type Format = keyof typeof TYPES;

const FORMATS = ["json", "text", "html", "svg", "d2", "mermaid", "kubeskoop-json"] as const;

const query = v.strictObject({
  format: choice(FORMATS, "Default: what Accept asks for, else json"),
});

const PORT_MAX = 65_535;
const NUMBER_MAX = 0xffffffff;
/** Longest name of a target: `svc/NAMESPACE/NAME:PORT`. */
const TARGET_CHARACTERS_MAX = 600;

const target = v.pipe(v.string(), v.nonEmpty(), v.maxLength(TARGET_CHARACTERS_MAX));
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(PORT_MAX));
const number = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(NUMBER_MAX));

/** The predecessor's clients send both ends as objects. */
const end = v.object({ address: target, port: v.exactOptional(port) });

const questionEntries = {
  source: v.pipe(
    v.union([target, end]),
    v.description("An address, pod/NAMESPACE/NAME or node/NAME"),
  ),
  destination: v.pipe(
    v.union([target, end]),
    v.description("An address, pod/NAMESPACE/NAME, svc/NAMESPACE/NAME:PORT or node/NAME"),
  ),
  port: v.exactOptional(port),
  protocol: v.exactOptional(
    v.pipe(v.picklist(["tcp", "udp", "icmp"]), v.description("Default: tcp")),
  ),
  netns: v.exactOptional(
    v.pipe(target, v.description("Which namespace sends, where several have the address")),
  ),
  sourcePort: v.exactOptional(port),
  mark: v.exactOptional(number),
  uid: v.exactOptional(number),
  verify: v.exactOptional(v.pipe(v.boolean(), v.description("Send a real packet, too"))),
} as const;

/** The body of `POST /diagnoses`. */
export const questionShape = v.strictObject(questionEntries);
/** The body of `POST /diagnose`: what its clients send besides is not looked at. */
const oldQuestionShape = v.object(questionEntries);

/** One diagnosis in the list, also by the names that the predecessor's clients know. */
export const diagnosisShape = v.strictObject({
  id: v.number(),
  task_id: v.number(),
  status: v.picklist(["running", "success", "failed"]),
  question: questionShape,
  task_config: v.pipe(v.string(), v.description("The question as JSON text")),
  start_time: v.string(),
  finish_time: v.exactOptional(v.string()),
  verdict: v.exactOptional(v.picklist(["reachable", "blocked", "unknown"])),
  summary: v.exactOptional(v.string()),
  notes: v.pipe(v.array(v.string()), v.description("What could not be had, and did not stop it")),
  message: v.pipe(v.string(), v.description("Why it failed")),
  result: v.pipe(v.string(), v.description("The predecessor's document as JSON text")),
});

/** A diagnosis in the list. */
export type DiagnosisView = v.InferOutput<typeof diagnosisShape>;

const content = Object.fromEntries(Object.values(TYPES).map((type) => [type, undefined]));
const summaries = { "application/json": diagnosisShape };

/** What OpenAPI shows of the list. */
export const diagnosesOperations: Operations = {
  GET: {
    needs: "admin",
    summary: "The last diagnoses, the newest first",
    answers: {
      200: {
        description: "Those that run or wait are among them",
        content: { "application/json": v.array(diagnosisShape) },
      },
    },
  },
  POST: {
    needs: "admin",
    summary: "Where a packet goes on this node, and what stops it",
    query,
    body: { type: "application/json", description: "The question", shape: questionShape },
    answers: {
      200: { description: "The diagnosis; Location says where it is kept", content },
      202: { description: "With `Prefer: respond-async`: it runs or waits", content: summaries },
      400: { description: "The body is no question" },
      408: { description: "The body did not arrive in time" },
      413: { description: "The body is too large" },
      422: { description: "The question cannot be answered, such as for a pod that is not here" },
      503: { description: "Too many wait already" },
      504: { description: "It was not done in time" },
    },
  },
};

/** What OpenAPI shows of one. */
export const diagnosisOperations: Operations = {
  GET: {
    needs: "admin",
    summary: "A diagnosis that is kept",
    query,
    answers: {
      200: { description: "The diagnosis", content },
      202: { description: "It runs or waits", content: summaries },
      404: { description: "There is none, or no longer" },
      422: { description: "The question could not be answered" },
      504: { description: "It was not done in time" },
    },
  },
};

/** What OpenAPI shows of the predecessor's path. */
export const oldDiagnoseOperations: Operations = {
  POST: {
    needs: "admin",
    summary: "As the predecessor had it: begins a diagnosis, which is then in /diagnoses",
    body: { type: "application/json", description: "{source, destination {address, port}}" },
    answers: {
      200: {
        description: "It runs or waits",
        content: { "application/json": v.strictObject({ task_id: v.string() }) },
      },
      400: { description: "The body is no question" },
      503: { description: "Too many wait already" },
    },
  },
};

/** `/diagnoses`, and one of them. */
export function diagnosesRoute(diagnoses: Pick<Diagnoses, "ask" | "all" | "find">): Hono {
  return new Hono()
    .get("/", () => answerJson(200, diagnoses.all().map(viewOf)))
    .post("/", async (context) => {
      const { format } = readQuery(query, context.req.queries());
      const asked = await questionIn(context.req.raw, questionShape);
      if (asked instanceof Response) return asked;
      const kept = diagnoses.ask(asked);
      if (kept === undefined) return refused();
      const location = { location: `/diagnoses/${kept.id}` };
      if (/\brespond-async\b/.test(context.req.header("prefer") ?? "")) {
        const applied = { ...location, "preference-applied": "respond-async" };
        return answerJson(202, viewOf(kept), applied);
      }
      await kept.done;
      return await answerOf(kept, format ?? formatOf(context.req.header("accept")), location);
    })
    .get("/:id", async (context) => {
      const { format } = readQuery(query, context.req.queries());
      const id = context.req.param("id");
      const kept = /^\d{1,15}$/.test(id) ? diagnoses.find(Number(id)) : undefined;
      if (kept === undefined) {
        return answerError(404, `Cannot find the diagnosis ${JSON.stringify(id)}: see /diagnoses`);
      }
      return await answerOf(kept, format ?? formatOf(context.req.header("accept")));
    });
}

/** `POST /diagnose`. */
export function oldDiagnoseRoute(diagnoses: Pick<Diagnoses, "ask">): Hono {
  return new Hono().post("/", async (context) => {
    const asked = await questionIn(context.req.raw, oldQuestionShape);
    if (asked instanceof Response) return asked;
    const kept = diagnoses.ask(asked);
    return kept === undefined ? refused() : answerJson(200, { task_id: String(kept.id) });
  });
}

function refused(): Response {
  return answerError(
    503,
    `Cannot diagnose as ${DIAGNOSES_WAITING_MAX} others wait already: try again`,
    { "retry-after": "3" },
  );
}

async function questionIn(
  request: Request,
  shape: typeof questionShape | typeof oldQuestionShape,
): Promise<DiagnosisQuestion | Response> {
  const body = await readBody(request, "the question");
  if (body instanceof Response) return body;
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const example = '{"source": "10.0.0.1", "destination": "10.0.0.2", "port": 80}';
    return answerError(400, `Cannot read the question as it must be JSON, such as ${example}`);
  }
  const parsed = v.safeParse(shape, value);
  if (!parsed.success) {
    return answerError(400, `Cannot take the question: ${mistakeOf(parsed.issues[0])}`);
  }
  const { source, destination, port: own, ...rest } = parsed.output;
  const [from, to] = [source, destination].map((each) =>
    typeof each === "string" ? { address: each } : each
  );
  const asked = own ?? to?.port;
  return {
    ...{ ...rest, source: from?.address ?? "", destination: to?.address ?? "" },
    ...(asked === undefined ? {} : { port: asked }),
  };
}

/** The format that `Accept` names first, of those that have a media type of their own. */
function formatOf(accept = ""): Format {
  const found = accept.split(",").map((each) => each.split(";")[0]?.trim() ?? "");
  for (const type of found) {
    if (type === "text/html" || type === "application/xhtml+xml") return "html";
    if (type === "image/svg+xml") return "svg";
    if (type === "text/plain") return "text";
    if (type === "application/json") return "json";
  }
  return "json";
}

async function answerOf(
  kept: Kept,
  format: Format,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const { result, error, ended } = kept;
  if (error !== undefined) {
    const { isQuestion, isLate, message } = error;
    return answerError(isQuestion ? 422 : isLate ? 504 : 500, message, headers);
  }
  if (result === undefined || ended === undefined) {
    return answerJson(202, viewOf(kept), { "retry-after": "1", ...headers });
  }
  const text = (await textsOf(result))[format] ?? "";
  const policy = format === "html" || format === "svg"
    ? { "content-security-policy": PAGE_POLICY }
    : {};
  return answer(200, TYPES[format], text, { ...policy, vary: "Accept", ...headers });
}

/** A diagnosis as the list has it. */
function viewOf({ id, question, asked, ended, result, error }: Kept): DiagnosisView {
  const done = result === undefined
    ? { notes: [], result: "" }
    : { verdict: result.verdict, summary: result.summary, notes: result.notes };
  return {
    ...{ id, task_id: id, question, task_config: JSON.stringify(question) },
    status: error !== undefined ? "failed" : result === undefined ? "running" : "success",
    start_time: asked.toISOString(),
    ...(ended === undefined ? {} : { finish_time: ended.toISOString() }),
    ...done,
    message: error?.message ?? "",
    result: result?.predecessor ?? "",
  };
}
