import { equal, throws } from "node:assert/strict";
import { isRdma, readRdma } from "./rdma.ts";

Deno.test("rdma lists the numbers of every device and port, and skips what is none", async () => {
  const sys = await Deno.makeTempDir({ prefix: "rdma-" });
  try {
    throws(() => readRdma("rdma/counters", sys), Deno.errors.NotFound);
    const files = {
      "mlx5_0/ports/1/counters/port_rcv_data": "13\n",
      "mlx5_0/ports/1/counters/symbol_error": "N/A (no PMA)\n",
      "mlx5_0/ports/1/hw_counters/out_of_buffer": "7\n",
      "mlx5_0/ports/2/counters/port_rcv_data": "18446744073709551615\n",
      "erdma_0/ports/1/hw_counters/hw_rx_bytes_cnt": "5\n",
    };
    for (const [file, text] of Object.entries(files)) {
      const path = `${sys}/class/infiniband/${file}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(path, text);
    }
    equal(
      readRdma("rdma/counters", sys),
      "device port name value\n" +
        "erdma_0 1 hw_rx_bytes_cnt 5\n" +
        "mlx5_0 1 port_rcv_data 13\n" +
        "mlx5_0 1 out_of_buffer 7\n" +
        "mlx5_0 2 port_rcv_data 18446744073709551615\n",
    );
  } finally {
    await Deno.remove(sys, { recursive: true });
  }
});

Deno.test("only what is below rdma/ is RDMA's", () => {
  equal(isRdma("rdma/counters"), true);
  equal(isRdma("net/softnet_stat"), false);
});
