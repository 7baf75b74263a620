import assert from "node:assert/strict";
import type { Caller } from "./access.ts";
import { listenUnix, TcpListener } from "./listen.ts";

const answer = (_request: Request, caller: Caller) => Response.json(caller);

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a socket answers. */
async function ask(path: string): Promise<unknown> {
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  return await (await fetch("http://podskoop/", { client })).json();
}

Deno.test("the unix socket is its owner's alone, in a folder that is made so", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/a/b/podskoop.sock`;
    const listener = await listenUnix(path, answer);
    const modes = [path, `${folder}/a/b`].map((each) => (Deno.statSync(each).mode ?? 0) & 0o777);
    assert.deepEqual(modes, [0o600, 0o700]);
    assert.deepEqual(await ask(path), { by: "unix", tls: false, loopback: true });
    await listener.close(100);
    await assert.rejects(Deno.lstat(path), Deno.errors.NotFound);
  });
});

Deno.test("a dead agent's socket is replaced, a living one's is not", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/podskoop.sock`;
    // Renamed, so that whoever made it cannot remove it: as if it had been killed.
    const dead = Deno.listen({ transport: "unix", path: `${path}.dead` });
    await Deno.rename(`${path}.dead`, path);
    dead.close();
    const living = await listenUnix(path, answer);
    await assert.rejects(listenUnix(path, answer), (error: Error) => {
      assert.equal(
        error.message,
        `Cannot open the socket "${path}": an agent listens there already, stop it or choose ` +
          "another by --socket",
      );
      return true;
    });
    assert.deepEqual(await ask(path), { by: "unix", tls: false, loopback: true });
    await living.close(100);
  });
});

Deno.test("a path that is no socket, too long or open to others is refused", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/file`;
    await Deno.writeTextFile(file, "precious");
    await assert.rejects(listenUnix(file, answer), /it is there and is no socket/);
    assert.equal(await Deno.readTextFile(file), "precious");
    await assert.rejects(listenUnix(`${file}/podskoop.sock`, answer), /Cannot open the socket/);
    const long = `/tmp/${"é".repeat(60)}`;
    await assert.rejects(listenUnix(long, answer), /at most 107 bytes: current length is 125/);
    await Deno.mkdir(`${folder}/open`);
    await Deno.chmod(`${folder}/open`, 0o777);
    await assert.rejects(
      listenUnix(`${folder}/open/x.sock`, answer),
      /others can write to its folder/,
    );
  });
});

Deno.test("a longest path is a socket yet", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/`.padEnd(107, "x");
    const listener = await listenUnix(path, answer);
    assert.deepEqual(await ask(path), { by: "unix", tls: false, loopback: true });
    await listener.close(100);
  });
});

Deno.test("TCP tells its callers, over IPv4 and IPv6", async () => {
  for (const hostname of ["127.0.0.1", "::1"]) {
    const listener = await TcpListener.open({ hostname, port: 0 }, answer);
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    const response = await fetch(`http://${host}:${listener.address.port}/`);
    assert.deepEqual(await response.json(), { by: "tcp", tls: false, loopback: true });
    await listener.close(100);
  }
});

Deno.test("a port in use is named, with how to find who has it", async () => {
  const first = await TcpListener.open({ hostname: "127.0.0.1", port: 0 }, answer);
  const { port } = first.address;
  await assert.rejects(
    TcpListener.open({ hostname: "127.0.0.1", port }, answer),
    (error: Error) => {
      assert.equal(
        error.message,
        `Cannot listen on 127.0.0.1:${port} as port ${port} is in use: see who has it by ` +
          `ss -ltnp 'sport = :${port}', or choose another by --listen`,
      );
      return true;
    },
  );
  await first.close(100);
  await assert.rejects(
    TcpListener.open({ hostname: "192.0.2.1", port: 0 }, answer),
    /^Error: Cannot listen on 192\.0\.2\.1:0 as this node has no such address/,
  );
});

Deno.test("closing waits for what is under way, but no longer than it may", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  const slow = async () => {
    await gate;
    return new Response("done");
  };
  const listener = await TcpListener.open({ hostname: "127.0.0.1", port: 0 }, slow);
  const { port } = listener.address;
  const response = fetch(`http://127.0.0.1:${port}/`);
  await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(20) }).catch(String);
  const began = performance.now();
  await listener.close(50);
  const took = performance.now() - began;
  assert.ok(took >= 45 && took < 1_000, `took ${took} ms`);
  await assert.rejects(Deno.connect({ port }), Deno.errors.ConnectionRefused);
  release();
  assert.equal(await (await response).text(), "done");
});

/** Makes a certificate and its key. */
async function certify(folder: string, name: string) {
  const { code } = await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
      ...["-keyout", `${folder}/${name}.key`, "-out", `${folder}/${name}.crt`],
      ...["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ],
    stdout: "null",
    stderr: "null",
  }).output();
  assert.equal(code, 0);
}

Deno.test("TLS takes a new certificate when the files change, unless it is bad", async () => {
  await inFolder(async (folder) => {
    for (const version of ["v1", "v2"]) {
      await Deno.mkdir(`${folder}/${version}`);
      await certify(`${folder}/${version}`, "tls");
    }
    await Deno.mkdir(`${folder}/mixed`);
    await Deno.copyFile(`${folder}/v1/tls.key`, `${folder}/mixed/tls.key`);
    await Deno.copyFile(`${folder}/v2/tls.crt`, `${folder}/mixed/tls.crt`);
    // As a mounted Secret is: the files are links through a folder's link, which is swapped.
    async function point(version: string) {
      await Deno.symlink(version, `${folder}/next`);
      await Deno.rename(`${folder}/next`, `${folder}/data`);
    }
    await point("v1");
    const tls = { certFile: `${folder}/data/tls.crt`, keyFile: `${folder}/data/tls.key` };
    const listener = await TcpListener.open({ hostname: "127.0.0.1", port: 0, tls }, answer);
    const url = `https://localhost:${listener.address.port}/`;
    /** Whether a client that trusts only this version's certificate gets an answer. */
    async function has(version: string): Promise<boolean> {
      const caCerts = [await Deno.readTextFile(`${folder}/${version}/tls.crt`)];
      using client = Deno.createHttpClient({ caCerts });
      try {
        assert.deepEqual(await (await fetch(url, { client })).json(), {
          by: "tcp",
          tls: true,
          loopback: true,
        });
        return true;
      } catch (error) {
        assert.ok(error instanceof TypeError);
        return false;
      }
    }
    assert.deepEqual([await has("v1"), await has("v2")], [true, false]);
    await point("mixed");
    await listener.renew();
    assert.deepEqual([await has("v1"), await has("v2")], [true, false]);
    await point("v2");
    await Promise.all([listener.renew(), listener.renew()]);
    assert.deepEqual([await has("v1"), await has("v2")], [false, true]);
    await listener.close(500);
  });
});

Deno.test("a certificate that is missing or none is refused at the start", async () => {
  await inFolder(async (folder) => {
    const tls = { certFile: `${folder}/tls.crt`, keyFile: `${folder}/tls.key` };
    const options = { hostname: "127.0.0.1", port: 0, tls };
    await assert.rejects(
      TcpListener.open(options, answer),
      /Cannot read ".*tls\.(crt|key)", which access\.tls names/,
    );
    await Deno.writeTextFile(tls.certFile, "garbage");
    await Deno.writeTextFile(tls.keyFile, "garbage");
    await assert.rejects(
      TcpListener.open(options, answer),
      /^Error: Cannot listen on 127\.0\.0\.1:0: /,
    );
  });
});
