import assert from "node:assert/strict";
import { serveUnix } from "../../tests/fake_terminal.ts";
import { statusShape } from "../routes/shapes.ts";
import { AgentClient, type ClientOptions, NoAgentFailure, parseAgent } from "./client.ts";
import { Failure } from "./terminal.ts";

async function failure(options: ClientOptions, path = "/status"): Promise<Failure> {
  try {
    using client = new AgentClient(options);
    await client.text(path);
  } catch (error) {
    assert(error instanceof Failure, String(error));
    return error;
  }
  assert.fail("it was answered");
}

Deno.test("an agent's address is a unix socket or HTTP", () => {
  assert.deepEqual(parseAgent("unix:/run/x.sock"), { unix: "/run/x.sock" });
  assert.deepEqual(parseAgent("unix:///run/x.sock"), { unix: "/run/x.sock" });
  assert.deepEqual(parseAgent("http://[::1]:9102/"), {
    base: "http://[::1]:9102",
    hostname: "::1",
    port: 9102,
  });
  assert.deepEqual(parseAgent("https://node-a"), {
    base: "https://node-a",
    hostname: "node-a",
    port: 443,
  });
  for (const wrong of ["unix:x", "ftp://x", "node-a:9102", "http://u:p@x", "http://x?y", ""]) {
    assert.throws(() => parseAgent(wrong), /It must be unix:PATH/, wrong);
  }
});

Deno.test("over a unix socket an agent's answer is read", async () => {
  await using agent = serveUnix((request) => new Response(new URL(request.url).pathname));
  using client = new AgentClient({ agent: { unix: agent.path } });
  assert.equal(await client.text("/metrics"), "/metrics");
});

Deno.test("no agent, and one that is gone, are told apart, with how to start one", async () => {
  const none = await failure({ agent: { unix: "/nowhere/podskoop.sock" } });
  assert(none instanceof NoAgentFailure);
  assert.match(none.message, /"\/nowhere\/podskoop\.sock" is not there: start it with `podskoop/);
  const folder = await Deno.makeTempDir({ prefix: "podskoop-client-" });
  try {
    const path = `${folder}/left.sock`;
    // Under another name: some versions remove the file when they close it, a crash does not.
    const listener = Deno.listen({ transport: "unix", path: `${folder}/first.sock` });
    await Deno.rename(`${folder}/first.sock`, path);
    listener.close();
    const left = await failure({ agent: { unix: path } });
    assert(left instanceof NoAgentFailure);
    assert.match(left.message, /nobody listens at ".*left\.sock": start it with `podskoop agent`/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = closed.addr;
  closed.close();
  const tcp = await failure({ agent: parseAgent(`http://127.0.0.1:${port}`) });
  assert.match(tcp.message, new RegExp(`nobody listens at "http://127.0.0.1:${port}"`));
});

Deno.test("a refusal is told in the agent's words; what was asked wrong is misuse", async () => {
  let status = 401;
  let words = "Cannot GET it";
  await using agent = serveUnix(() => Response.json({ error: words }, { status }));
  const options = { agent: { unix: agent.path } };
  const unknown = await failure(options);
  assert.match(unknown.message, /refuses: Cannot GET it \(--token-file FILE sends one\)$/);
  assert.equal(unknown.exitCode, 1);
  status = 400;
  assert.equal((await failure(options)).exitCode, 2);
  status = 404;
  assert.match((await failure(options)).message, /refuses: Cannot GET it$/);
  words = 'Cannot find "/x": there is no such path';
  assert.match((await failure(options)).message, /no such path: is it a podskoop of another ver/);
  words = "Cannot GET it";
  status = 503;
  assert.match((await failure(options)).message, /refuses: Cannot GET it$/);
});

/** What openssl makes: a key, and a certificate that signs itself, for 127.0.0.1 and as told. */
async function selfSigned(dir: string): Promise<Readonly<Record<"cert" | "key", string>>> {
  const { success } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-subj", "/CN=agent", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"],
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
      ...["-keyout", `${dir}/key`, "-out", `${dir}/cert`],
    ],
    ...{ stdout: "null", stderr: "null" },
  }).output();
  assert(success);
  return {
    cert: await Deno.readTextFile(`${dir}/cert`),
    key: await Deno.readTextFile(`${dir}/key`),
  };
}

Deno.test("what is wrong with TLS is told with what to do about it", async () => {
  const dir = await Deno.makeTempDir({ prefix: "podskoop-client-" });
  const settings = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  try {
    const made = await selfSigned(dir);
    await using tls = Deno.serve({ ...settings, ...made }, () => new Response("yes"));
    await using plain = Deno.serve(settings, () => new Response("yes"));
    const asked = async (base: string, more: Partial<ClientOptions> = {}) =>
      (await failure({ agent: parseAgent(base), ...more })).message;
    const address = `127.0.0.1:${tls.addr.port}`;
    assert.match(
      await asked(`https://${address}`),
      /UnknownIssuer: name its .* by --ca-file FILE$/,
    );
    assert.match(
      await asked(`https://127.0.0.1:${plain.addr.port}`),
      /it seems to speak no TLS, so ask it by http:\/\/$/,
    );
    assert.match(await asked(`http://${address}`), /if it speaks TLS, ask it by https:\/\/$/);
    const key = await asked(`https://${address}`, { caFile: `${dir}/key` });
    assert.equal(key, `Cannot use the CA file "${dir}/key" as it has no certificate (PEM)`);
    using client = new AgentClient({
      agent: parseAgent(`https://${address}`),
      caFile: `${dir}/cert`,
    });
    assert.equal(await client.text("/"), "yes");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("an answer of another shape, or no JSON, is told", async () => {
  let body = '{"version":7}';
  await using agent = serveUnix(() => new Response(body));
  using client = new AgentClient({ agent: { unix: agent.path } });
  await assert.rejects(client.json("/status", statusShape), {
    message: /Cannot read what .* answers on \/status, as "\w+" is not as expected/,
  });
  body = "<html>";
  await assert.rejects(client.json("/status", statusShape), { message: /it is no JSON/ });
});

Deno.test("a token file's first word is sent, as a role may follow it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "podskoop-client-" });
  await using agent = serveUnix((request) => new Response(request.headers.get("authorization")));
  const file = `${folder}/token`;
  try {
    await Deno.writeTextFile(file, "abcdefghijklmnop.1 reader\n");
    using client = new AgentClient({ agent: { unix: agent.path }, tokenFile: file });
    assert.equal(await client.text("/"), "Bearer abcdefghijklmnop.1");
    await Deno.writeTextFile(file, "");
    const options = { agent: { unix: agent.path }, tokenFile: file };
    assert.match(
      (await failure(options)).message,
      /Cannot use the token file .* must hold a token/,
    );
    const missing = { agent: { unix: agent.path }, tokenFile: `${folder}/none` };
    assert.match((await failure(missing)).message, /^Cannot read the token file ".*none"/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
