import assert from "node:assert/strict";
import {
  formatAddress,
  formatPrefix,
  inPrefix,
  maskOf,
  parseAddress,
  parsePrefix,
  rangeOf,
  sameAddress,
} from "./address.ts";

Deno.test("parseAddress reads both families, and formatAddress writes what tools print", () => {
  for (
    const [text, again] of [
      ["10.244.3.72", "10.244.3.72"],
      ["255.255.255.255", "255.255.255.255"],
      ["::", "::"],
      ["::1", "::1"],
      ["FD00:0:0:1:0:0:0:9", "fd00:0:0:1::9"],
      ["1::", "1::"],
      ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
      ["1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"],
      ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
      ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ] as const
  ) {
    const address = parseAddress(text);
    assert.ok(address, text);
    assert.equal(formatAddress(address), again);
  }
  assert.deepEqual(parseAddress("10.0.0.1"), { family: 4, bits: 0x0a000001n });
  assert.deepEqual(parseAddress("::1"), { family: 6, bits: 1n });
});

Deno.test("parseAddress refuses what is no address", () => {
  for (
    const text of ["", "1", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1:2", ":::", "1::2::3", "g::"]
      .concat(["1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "12345::", "::1.2.3", "fe80::1%eth0"])
  ) assert.equal(parseAddress(text), undefined, text);
});

Deno.test("parsePrefix reads lengths and masks, and knows what is inside", () => {
  const inside = (address: string, prefix: string) => {
    const [one, other] = [parseAddress(address), parsePrefix(prefix)];
    assert.ok(one && other, `${address} ${prefix}`);
    return inPrefix(one, other);
  };
  assert.ok(inside("10.1.2.3", "10.0.0.0/8"));
  assert.ok(inside("10.1.2.3", "10.9.9.9/255.0.0.0"));
  assert.ok(!inside("11.1.2.3", "10.0.0.0/8"));
  assert.ok(inside("11.1.2.3", "0.0.0.0/0"));
  assert.ok(!inside("::1", "0.0.0.0/0"));
  assert.ok(inside("fd00::1", "fd00::/64"));
  assert.ok(inside("fd00::1", "fd00::1"));
  assert.ok(!inside("fd00::1", "fd00::2"));
  for (const text of ["10.0.0.0/33", "fd00::/129", "10.0.0.0/255.0.255.0", "10.0.0.0/8/8", "/8"]) {
    assert.equal(parsePrefix(text), undefined, text);
  }
  assert.equal(formatPrefix(parsePrefix("fd00::/8") ?? assert.fail()), "fd00::/8");
});

Deno.test("rangeOf has the ends of a prefix, maskOf its ones", () => {
  const range = rangeOf(parsePrefix("10.1.2.3/30") ?? assert.fail());
  assert.deepEqual(range.map(formatAddress), ["10.1.2.0", "10.1.2.3"]);
  assert.equal(maskOf(4, 24), 0xffffff00n);
  assert.equal(maskOf(6, 0), 0n);
  assert.ok(!sameAddress({ family: 4, bits: 1n }, { family: 6, bits: 1n }));
});
