import assert from "node:assert/strict";
import { inClusterApi, Reviews } from "./reviews.ts";

interface Asked {
  readonly path: string;
  readonly authorization: string | null;
  readonly spec: Record<string, unknown>;
}

/** A Kubernetes API that knows one token, and the one thing its owner may do. */
async function withApi(
  run: (api: { url: string; tokenFile: string }, asked: Asked[]) => Promise<void>,
  behave: (asked: Asked) => Response | undefined | Promise<Response | undefined> = () => undefined,
) {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/token`, "own-token\n");
  const asked: Asked[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { kind, apiVersion, spec } = await request.json();
    const ask = {
      path: new URL(request.url).pathname,
      authorization: request.headers.get("authorization"),
      spec,
    };
    asked.push(ask);
    const answer = await behave(ask);
    if (answer !== undefined) return answer;
    if (kind === "TokenReview") {
      assert.equal(apiVersion, "authentication.k8s.io/v1");
      if (spec.token !== "known") return Response.json({ status: { user: {}, error: "no such" } });
      const user = { username: "sa", uid: "7", groups: ["g"], extra: { "a/b": ["c"] } };
      return Response.json({ status: { authenticated: true, user } });
    }
    assert.equal(apiVersion, "authorization.k8s.io/v1");
    return Response.json({ status: { allowed: spec.nonResourceAttributes.path === "/events" } });
  });
  try {
    await run({ url: `http://127.0.0.1:${server.addr.port}`, tokenFile: `${folder}/token` }, asked);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a token is reviewed, then what its owner may do with the path", async () => {
  await withApi(async (api, asked) => {
    const reviews = new Reviews(api);
    assert.equal(await reviews.allows("known", "get", "/events"), "allowed");
    assert.deepEqual(asked, [
      {
        path: "/apis/authentication.k8s.io/v1/tokenreviews",
        authorization: "Bearer own-token",
        spec: { token: "known" },
      },
      {
        path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        authorization: "Bearer own-token",
        spec: {
          user: "sa",
          uid: "7",
          groups: ["g"],
          extra: { "a/b": ["c"] },
          nonResourceAttributes: { path: "/events", verb: "get" },
        },
      },
    ]);
    assert.equal(await reviews.allows("known", "get", "/config"), "denied");
    assert.equal(await reviews.allows("guessed", "get", "/events"), "unknown");
    reviews.close();
  });
});

Deno.test("an answer holds for 60 s for one token, verb and path, and no longer", async () => {
  await withApi(async (api, asked) => {
    let now = 0;
    const reviews = new Reviews(api, () => now);
    await Promise.all([1, 2, 3].map(() => reviews.allows("known", "get", "/events")));
    now = 59_999;
    await reviews.allows("known", "get", "/events");
    assert.equal(asked.length, 2);
    await reviews.allows("known", "put", "/events");
    assert.equal(asked.length, 4);
    now = 60_000;
    await reviews.allows("known", "get", "/events");
    assert.equal(asked.length, 6);
    reviews.close();
  });
});

Deno.test("reviews are at most eight at once; one more is refused and counted", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  await withApi(async (api) => {
    const reviews = new Reviews(api);
    const eight = Array.from({ length: 8 }, (_, index) => reviews.allows(`t${index}`, "get", "/"));
    await assert.rejects(reviews.allows("t9", "get", "/"), /as 8 reviews are under way/);
    assert.equal(reviews.refused, 1);
    release();
    assert.deepEqual(await Promise.all(eight), Array(8).fill("unknown"));
    assert.equal(await reviews.allows("t9", "get", "/"), "unknown");
    reviews.close();
  }, async () => {
    await gate;
    return undefined;
  });
});

Deno.test("an API that fails, hangs or makes no sense is asked again", async () => {
  const answers: [() => Response | Promise<Response>, RegExp][] = [
    [() => new Response("no", { status: 403 }), /status is 403: bind .* system:auth-delegator/],
    [
      () => new Response("no", { status: 500 }),
      /Cannot create a TokenReview at "http.*status is 500/,
    ],
    [() => new Response("{"), /JSON/],
    [() => Response.json({ status: 7 }), /Expected Object/],
    [() => Response.redirect("http://127.0.0.1:1/"), /./],
    [() => new Promise((resolve) => setTimeout(() => resolve(new Response("late")), 120)), /time/],
  ];
  let number = 0;
  await withApi(async (api, asked) => {
    const reviews = new Reviews(api, Date.now, 60);
    for (const [, expected] of answers) {
      await assert.rejects(reviews.allows("known", "get", "/events"), expected);
      number++;
    }
    assert.equal(asked.length, answers.length);
    reviews.close();
  }, () => answers[number]?.[0]());
});

Deno.test("a process outside of a cluster has no API", () => {
  assert.equal(inClusterApi("/nonexistent"), undefined);
});

Deno.test("a token for the agents alone is asked about as one, and no other is", async () => {
  const jwt = (aud: unknown) => {
    const part = (value: unknown) =>
      btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
    return `${part({ alg: "RS256" })}.${part({ aud, sub: "\u00ff\u00fe?" })}.c2ln`;
  };
  let audiences: readonly string[] | undefined = ["podskoop"];
  const user = { username: "sa" };
  const behave = ({ path }: Asked) =>
    path.endsWith("/tokenreviews")
      ? Response.json({ status: { authenticated: true, audiences, user } })
      : Response.json({ status: { allowed: true } });
  await withApi(async (api, asked) => {
    const reviews = new Reviews(api);
    const askedFor = async (token: string) => {
      const verdict = await reviews.allows(token, "get", "/snapshot");
      const review = asked.findLast(({ path }) => path.endsWith("/tokenreviews"));
      assert.equal(review?.spec["token"], token);
      return [verdict, review?.spec["audiences"]];
    };
    assert.deepEqual(await askedFor(jwt(["podskoop"])), ["allowed", ["podskoop"]]);
    assert.deepEqual(await askedFor(jwt("podskoop")), ["allowed", ["podskoop"]]);
    assert.deepEqual(await askedFor(jwt(["https://kubernetes"])), ["allowed", undefined]);
    assert.deepEqual(await askedFor("x.y.z"), ["allowed", undefined]);
    // A server from before audiences does not say for whom the token is.
    audiences = undefined;
    const old = jwt(["podskoop", "other"]);
    assert.deepEqual(await askedFor(old), ["unknown", ["podskoop"]]);
  }, behave);
});
