import { equal, throws } from "node:assert/strict";
import { isRdma, RdmaTexts } from "./rdma.ts";

const PATIENCE_MS = 20_000;
const FILES = ["rdma/counters", "rdma/resources"];

/** A folder with a device, and a program that stands for the tool. */
class Stage implements Disposable {
  readonly sys = Deno.makeTempDirSync({ prefix: "rdma-" });
  readonly tool = `${this.sys}/rdma`;

  constructor(script: string) {
    Deno.writeTextFileSync(this.tool, `#!/bin/sh\n${script}\n`);
    Deno.chmodSync(this.tool, 0o755);
  }

  /** A counter's path, in a folder that is there. */
  counter(name: string): string {
    const path = `${this.sys}/class/infiniband/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    return path;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.sys, { recursive: true });
  }
}

Deno.test("rdma lists the numbers of every device and port, and skips what is none", async () => {
  using stage = new Stage('echo "$@"');
  const rdma = new RdmaTexts(stage.tool);
  await rdma.read(FILES, stage.sys, PATIENCE_MS);
  for (const file of FILES) throws(() => rdma.text(file), Deno.errors.NotFound);
  const files = {
    "mlx5_0/ports/1/counters/port_rcv_data": "13\n",
    "mlx5_0/ports/1/counters/symbol_error": "N/A (no PMA)\n",
    "mlx5_0/ports/1/hw_counters/out_of_buffer": "7\n",
    "mlx5_0/ports/2/counters/port_rcv_data": "18446744073709551615\n",
    "erdma_0/ports/1/hw_counters/hw_rx_bytes_cnt": "5\n",
  };
  for (const [file, text] of Object.entries(files)) {
    Deno.writeTextFileSync(stage.counter(file), text);
  }
  await rdma.read(FILES, stage.sys, PATIENCE_MS);
  equal(
    rdma.text("rdma/counters"),
    "device port name value\n" +
      "erdma_0 1 hw_rx_bytes_cnt 5\n" +
      "mlx5_0 1 port_rcv_data 13\n" +
      "mlx5_0 1 out_of_buffer 7\n" +
      "mlx5_0 2 port_rcv_data 18446744073709551615\n",
  );
  equal(rdma.text("rdma/resources"), "-j resource show\n");
});

Deno.test("a device that does not answer is waited for once, and no longer than said", async () => {
  using stage = new Stage("echo '[]'");
  const fifo = stage.counter("mlx5_0/ports/1/hw_counters/stuck");
  const { success } = new Deno.Command("mkfifo", { args: [fifo] }).outputSync();
  equal(success, true);
  // As long as it may be written to, who reads it waits.
  const writer = await Deno.open(fifo, { read: true, write: true });
  const rdma = new RdmaTexts(stage.tool);
  await rdma.read(FILES, stage.sys, 200);
  for (const file of FILES) throws(() => rdma.text(file), /RDMA devices: no answer in 200 ms$/);
  await rdma.read(FILES, stage.sys, PATIENCE_MS);
  throws(() => rdma.text("rdma/counters"), /they have not answered the last question$/);

  writer.close();
  Deno.removeSync(fifo);
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    await rdma.read(FILES, stage.sys, PATIENCE_MS);
    try {
      equal(rdma.text("rdma/counters"), "device port name value\n");
      break;
    } catch (error) {
      if (!(error instanceof Error) || performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
});

Deno.test("the tool is killed when it takes too long, and what it lacks is said", async () => {
  using stage = new Stage("exec sleep 60");
  Deno.writeTextFileSync(stage.counter("mlx5_0/ports/1/counters/port_rcv_data"), "13\n");
  const rdma = new RdmaTexts(stage.tool);
  await rdma.read(FILES, stage.sys, 2_000);
  throws(
    () => rdma.text("rdma/resources"),
    /^Error: Cannot ask "rdma" for .*no answer in 1000 ms$/,
  );
  equal(rdma.text("rdma/counters"), "device port name value\nmlx5_0 1 port_rcv_data 13\n");
  const none = new RdmaTexts(`${stage.tool}.not`);
  await none.read(FILES, stage.sys, PATIENCE_MS);
  throws(() => none.text("rdma/resources"), Deno.errors.NotFound);
  equal(none.text("rdma/counters"), "device port name value\nmlx5_0 1 port_rcv_data 13\n");
});

Deno.test("only what is below rdma/ is RDMA's", () => {
  equal(isRdma("rdma/counters"), true);
  equal(isRdma("net/softnet_stat"), false);
});
