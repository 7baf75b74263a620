import assert from "node:assert/strict";
import { findApiServer, readKubeconfig, secretText } from "./api_server.ts";

function kubeconfig(cluster: string, user = "{}"): string {
  return `
apiVersion: v1
kind: Config
current-context: here
contexts:
- { name: there, context: { cluster: other, user: other } }
- { name: here, context: { cluster: k, user: u, namespace: shop } }
clusters:
- { name: k, cluster: ${cluster} }
users:
- { name: u, user: ${user} }
`;
}

const read = (text: string) => readKubeconfig(text, "/etc/kubernetes/kubelet.conf");

Deno.test("a kubeconfig names server, authority and client certificate", async () => {
  const data = btoa("-----BEGIN CERTIFICATE-----\n");
  const server = read(kubeconfig(
    `{ server: "https://192.0.2.1:6443/", certificate-authority-data: ${data} }`,
    "{ client-certificate: pki/own.pem, client-key: /pki/own.key }",
  ));
  assert.deepEqual(server, {
    url: "https://192.0.2.1:6443",
    authority: { text: "-----BEGIN CERTIFICATE-----\n" },
    certificate: { file: "/etc/kubernetes/pki/own.pem" },
    key: { file: "/pki/own.key" },
  });
  assert.equal(await secretText({ text: "x" }, "token"), "x");
  await assert.rejects(
    secretText({ file: "/nonexistent/token" }, "token"),
    /^Error: Cannot read the token "\/nonexistent\/token": /,
  );
});

Deno.test("a kubeconfig's token file goes before its token", () => {
  const cluster = '{ server: "http://127.0.0.1:8001", proxy-url: "http://proxy:3128" }';
  const url = "http://127.0.0.1:8001";
  const proxy = "http://proxy:3128";
  const both = read(kubeconfig(cluster, "{ token: t, tokenFile: token }"));
  assert.deepEqual(both, { url, token: { file: "/etc/kubernetes/token" }, proxy });
  assert.deepEqual(read(kubeconfig(cluster, "{ token: t }")), { url, token: { text: "t" }, proxy });
  assert.deepEqual(read(kubeconfig(cluster, "null")), { url, proxy });
});

Deno.test("a kubeconfig that cannot be used is refused with what is wrong", () => {
  const secure = '{ server: "https://192.0.2.1:6443" }';
  for (
    const [text, why] of [
      ["a: [", /: Flow sequence/],
      ["7", /at its top: it must be a mapping$/],
      ["current-context: x", /no context called "x"/],
      ["contexts: 7", /at "contexts": it must be .*Array/],
      [kubeconfig(secure).replace("name: k,", "name: z,"), /no cluster called "k"/],
      [kubeconfig("{ server: nonsense }"), /"nonsense" is no URL/],
      [kubeconfig(secure.replace("}", ", insecure-skip-tls-verify: true }")), /is not obeyed/],
      [kubeconfig(secure.replace("}", ", tls-server-name: api }")), /tls-server-name "api"/],
      [kubeconfig(secure, "{ token: 7919 }"), /at "users.0.user.token": it must be string$/],
      [kubeconfig(secure, "{ client-key-data: 79-19 }"), /: what its …-data have is no base64$/],
      [kubeconfig(secure, "{ exec: { command: aws } }"), /by the command "aws"/],
      [kubeconfig(secure, "{ username: root, password: x }"), /a password/],
    ] as const
  ) {
    assert.throws(() => read(text), (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, /^Cannot use the kubeconfig "\/etc\/kubernetes\/kubelet.conf": /);
      assert.match(error.message, why);
      return true;
    });
  }
});

Deno.test("a kubeconfig that is not there is an error, none named is none", async () => {
  await assert.rejects(
    findApiServer("/nonexistent/x"),
    /Cannot read the kubeconfig "\/nonexistent/,
  );
  const host = Deno.env.get("KUBERNETES_SERVICE_HOST");
  Deno.env.delete("KUBERNETES_SERVICE_HOST");
  assert.equal(await findApiServer(), undefined);
  if (host !== undefined) Deno.env.set("KUBERNETES_SERVICE_HOST", host);
});
