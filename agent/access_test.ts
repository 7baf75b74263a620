import assert from "node:assert/strict";
import { Access, type Caller, foreign, isLoopback, type Role, TokenFile } from "./access.ts";

const READER = "reader-0123456789abcdef";
const ADMIN = "admin+0123456789/abcdef==";

const UNIX: Caller = { by: "unix", tls: false, loopback: true };
const LOCAL: Caller = { by: "tcp", tls: false, loopback: true };
const PLAIN: Caller = { by: "tcp", tls: false, loopback: false };
const TLS: Caller = { by: "tcp", tls: true, loopback: false };

/** Runs with a token file of this text. */
async function withFile(text: string, mode: number, run: (path: string) => void | Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/tokens`;
    await Deno.writeTextFile(path, text);
    await Deno.chmod(path, mode);
    await run(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The status that a request gets, 200 when it is allowed. */
async function status(
  access: Access,
  caller: Caller,
  needs: Role,
  authorization?: string,
): Promise<number> {
  const path = needs === "admin" ? "/config" : "/events";
  const refusal = await access.refusal({ caller, needs, method: "GET", path, authorization });
  if (refusal !== undefined) assert.match(refusal.error, /^Cannot GET "\/(config|events)"/);
  return refusal?.status ?? 200;
}

Deno.test("the unix socket may do everything, TCP nothing without a token", async () => {
  await withFile(`${READER} reader\n`, 0o600, async (path) => {
    const access = new Access({ tokens: new TokenFile(path), socket: "/run/x.sock" });
    assert.equal(await status(access, UNIX, "admin"), 200);
    for (const caller of [LOCAL, PLAIN, TLS]) {
      assert.equal(await status(access, caller, "reader"), 401);
      assert.equal(await status(access, caller, "admin"), 401);
    }
  });
});

Deno.test("an agent without tokens takes none over TCP, and says what to do", async () => {
  const access = new Access({ socket: "/run/x.sock" });
  const refusal = await access.refusal({
    caller: TLS,
    needs: "reader",
    method: "GET",
    path: "/pods",
    authorization: `Bearer ${READER}`,
  });
  assert.deepEqual(refusal, {
    status: 403,
    error: 'Cannot GET "/pods" over TCP as the agent has no tokens: on the node itself use the ' +
      'unix socket "/run/x.sock" as root, or configure access.tokenFile',
  });
});

Deno.test("a token has its role: an admin may read, a reader may not administer", async () => {
  await withFile(
    `# keys\n\n${READER}   reader # for the console\n${ADMIN}\tadmin\n`,
    0o640,
    async (path) => {
      const access = new Access({ tokens: new TokenFile(path), socket: "/run/x.sock" });
      const cases: [string, number, number][] = [
        [`Bearer ${READER}`, 200, 403],
        [`bearer  ${READER} `, 200, 403],
        [`Bearer ${ADMIN}`, 200, 200],
        [`Bearer ${READER}x`, 401, 401],
        [`Bearer ${READER.slice(0, -1)}`, 401, 401],
        [`Basic ${READER}`, 401, 401],
        ["Bearer ", 401, 401],
        [`Bearer ${READER} reader`, 401, 401],
        ["Bearer #", 401, 401],
      ];
      for (const [authorization, reader, admin] of cases) {
        assert.equal(await status(access, TLS, "reader", authorization), reader, authorization);
        assert.equal(await status(access, TLS, "admin", authorization), admin, authorization);
      }
    },
  );
});

Deno.test("a token in the clear is taken from this node only, or as configured", async () => {
  await withFile(`${ADMIN} admin\n`, 0o600, async (path) => {
    const tokens = new TokenFile(path);
    const strict = new Access({ tokens, socket: "/run/x.sock" });
    assert.equal(await status(strict, LOCAL, "admin", `Bearer ${ADMIN}`), 200);
    assert.equal(await status(strict, TLS, "admin", `Bearer ${ADMIN}`), 200);
    assert.equal(await status(strict, PLAIN, "admin", `Bearer ${ADMIN}`), 403);
    const open = new Access({ tokens, socket: "/run/x.sock", tokensInClear: true });
    assert.equal(await status(open, PLAIN, "admin", `Bearer ${ADMIN}`), 200);
  });
});

Deno.test("a token that is taken out of the file stops being one, a new one begins", async () => {
  await withFile(`${READER} reader\n`, 0o600, async (path) => {
    const tokens = new TokenFile(path);
    assert.equal(tokens.roleOf(READER), "reader");
    await Deno.writeTextFile(path, `${ADMIN} admin\n`);
    assert.deepEqual([tokens.roleOf(READER), tokens.roleOf(ADMIN)], [undefined, "admin"]);
    // As a mounted Secret changes: the path's symlink is swapped.
    await Deno.writeTextFile(`${path}.2`, `${READER} admin\n`, { mode: 0o600 });
    await Deno.symlink(`${path}.2`, `${path}.link`);
    await Deno.rename(`${path}.link`, path);
    assert.deepEqual([tokens.roleOf(READER), tokens.roleOf(ADMIN)], ["admin", undefined]);
    await Deno.chmod(`${path}.2`, 0o604);
    assert.equal(tokens.roleOf(READER), undefined);
    await Deno.chmod(`${path}.2`, 0o600);
    assert.equal(tokens.roleOf(READER), "admin");
    await Deno.remove(path);
    assert.equal(tokens.roleOf(READER), undefined);
  });
});

Deno.test("a wrong line of a file that has changed takes away its own token only", async () => {
  await withFile(`${READER} reader\n`, 0o600, async (path) => {
    const tokens = new TokenFile(path);
    await Deno.writeTextFile(path, `${READER} root\n${ADMIN} admin\n`);
    assert.deepEqual([tokens.roleOf(READER), tokens.roleOf(ADMIN)], [undefined, "admin"]);
  });
});

Deno.test("a wrong token file is refused, by line and reason and without a token", async () => {
  const cases: [string, number, RegExp][] = [
    [`${READER} reader\n`, 0o604, /as others can open it: current mode is 0604, run chmod 0600/],
    [`${READER} reader\n`, 0o606, /as others can open it/],
    [`\n${READER}\n`, 0o600, /, line 2: it must be a token and its role, "reader" or "admin"/],
    [`${READER} root\n`, 0o600, /, line 1: it must be a token and its role/],
    [`${READER} admin reader\n`, 0o600, /, line 1: /],
    ["short reader\n", 0o600, /must have at least 16 characters.*: current length is 5,/],
    ["pass word of mine!! reader\n", 0o600, /, line 1: /],
    [`${"#".repeat(70_000)}\n`, 0o600, /must have at most 65536 bytes: current size is 70001/],
  ];
  for (const [text, mode, expected] of cases) {
    await withFile(text, mode, (path) => {
      assert.throws(() => new TokenFile(path), (error: Error) => {
        assert.match(error.message, expected);
        assert.ok(error.message.startsWith(`Cannot use the token file "${path}"`));
        assert.ok(!error.message.includes(READER));
        return true;
      });
    });
  }
  assert.throws(
    () => new TokenFile("/nonexistent/tokens"),
    /Cannot use the token file "\/nonexistent/,
  );
});

Deno.test("what Kubernetes says of a token decides, when the file does not know it", async () => {
  await withFile(`${READER} reader\n`, 0o600, async (path) => {
    const asked: string[][] = [];
    const access = new Access({
      tokens: new TokenFile(path),
      socket: "/run/x.sock",
      reviews: {
        allows(token, verb, at) {
          asked.push([token, verb, at]);
          if (token === "broken") return Promise.reject(new Error("Cannot connect"));
          return Promise.resolve(
            token === "a.b.c" ? "allowed" : token === "d.e.f" ? "denied" : "unknown",
          );
        },
      },
    });
    assert.equal(await status(access, TLS, "admin", "Bearer a.b.c"), 200);
    assert.equal(await status(access, TLS, "admin", "Bearer d.e.f"), 403);
    assert.equal(await status(access, TLS, "reader", "Bearer g.h.i"), 401);
    assert.equal(await status(access, TLS, "reader", "Bearer broken"), 503);
    assert.equal(await status(access, TLS, "reader", `Bearer ${READER}`), 200);
    assert.deepEqual(asked[0], ["a.b.c", "get", "/config"]);
    assert.equal(asked.length, 4);
  });
});

Deno.test("loopback addresses are told from others, IPv4 in IPv6 too", () => {
  for (const address of ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(isLoopback(address), true, address);
  }
  for (const address of ["10.0.0.1", "128.0.0.1", "::", "::ffff:10.0.0.1", "fd00::127.0.0.1", ""]) {
    assert.equal(isLoopback(address), false, address);
  }
});

Deno.test("a page of another site is told from the console and from programs", () => {
  const cases: [Record<string, string>, Caller, boolean][] = [
    [{ host: "10.0.0.7:9102" }, PLAIN, false],
    [{ host: "[fd00::7]:9102" }, PLAIN, false],
    [{ host: "localhost:9102" }, UNIX, false],
    [{ host: "podskoop" }, UNIX, false],
    [{ host: "node-a.example.com:9102" }, PLAIN, false],
    [{ host: "NODE-A.example.com" }, PLAIN, false],
    [{}, PLAIN, false],
    [{ host: "localhost:9102", origin: "http://localhost:9102" }, UNIX, false],
    [{ host: "agent.example.com", origin: "https://agent.example.com" }, TLS, false],
    [{ host: "localhost:9102", "sec-fetch-site": "same-origin" }, UNIX, false],
    // The name is another site's, and resolves to the agent.
    [{ host: "evil.example.org:9102" }, PLAIN, true],
    [{ host: "evil.example.org:9102" }, UNIX, true],
    [{ host: "10.0.0.7.evil.example.org" }, PLAIN, true],
    [{ host: "localhost.evil.example.org" }, UNIX, true],
    // The page is another site's, and names the agent's address.
    [{ host: "localhost:9102", origin: "https://evil.example.org" }, UNIX, true],
    [{ host: "localhost:9102", origin: "null" }, UNIX, true],
    [{ host: "localhost:9102", origin: "http://localhost:8080" }, UNIX, true],
    [{ host: "localhost:9102", "sec-fetch-site": "cross-site" }, UNIX, true],
  ];
  for (const [headers, caller, expected] of cases) {
    const because = foreign(new Headers(headers), caller, ["node-a.example.com"]);
    assert.equal(because !== undefined, expected, JSON.stringify(headers));
  }
});
