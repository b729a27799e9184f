import { gzipSync } from "node:zlib";

import { rolldown } from "rolldown";
import { expect, test } from "vitest";

test("bundled, minified and gzipped, it has 12 KiB at most", async () => {
  const bundle = await rolldown({ input: new URL("../src/index.js", import.meta.url).pathname });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  expect(output.flatMap((chunk) => ("imports" in chunk ? chunk.imports : []))).toEqual([]);
  const size = gzipSync("code" in output[0] ? output[0].code : "", { level: 9 }).length;
  expect(size).toBeLessThanOrEqual(12 * 1024);
});
