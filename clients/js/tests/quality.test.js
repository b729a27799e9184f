import fc from "fast-check";
import { expect, test } from "vitest";

import { Gauge, qualityOf, sampled } from "../src/quality.js";

const sample = fc.option(fc.nat(2000));

test("of nothing measured nothing is said against it", () => {
  expect(qualityOf([])).toEqual({ quality: "good", rttMs: null, loss: 0 });
  expect(qualityOf([], "fair").quality).toBe("fair");
});

test("the round trip decides", () => {
  expect([1, 150, 151, 400, 401].map((rtt) => qualityOf([rtt]).quality)).toEqual([
    "good",
    "good",
    "fair",
    "fair",
    "poor",
  ]);
});

test("one slow answer makes it no worse, two do; one quick answer no better, two do", () => {
  expect(qualityOf([20, 20, 900]).quality).toBe("good");
  expect(qualityOf([20, 900, 900]).quality).toBe("poor");
  expect(qualityOf([900, 900, 20]).quality).toBe("poor");
  expect(qualityOf([900, 20, 20]).quality).toBe("good");
});

test("while an answer is missing it is poor, and no more than fair until that is long ago", () => {
  expect(qualityOf([20, 20, null])).toEqual({ quality: "poor", rttMs: 20, loss: 1 / 3 });
  expect(qualityOf([20, null, 20, 20])).toEqual({ quality: "fair", rttMs: 20, loss: 0.25 });
  expect(qualityOf([null])).toEqual({ quality: "poor", rttMs: null, loss: 1 });
  expect(qualityOf([null, 30])).toEqual({ quality: "poor", rttMs: 30, loss: 0.5 });
});

test("the server's judgement counts where it is worse", () => {
  expect(qualityOf([20], "poor").quality).toBe("poor");
  expect(qualityOf([900], "good").quality).toBe("poor");
});

test("the last eight samples are kept, and any of them make a judgement", () => {
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 20 }), (samples) => {
      const kept = samples.reduce(sampled, /** @type {(number | null)[]} */ ([]));
      expect(kept).toEqual(samples.slice(-8));
      const { quality, rttMs, loss } = qualityOf(kept);
      expect(["good", "fair", "poor"]).toContain(quality);
      expect(loss >= 0 && loss <= 1).toBe(true);
      expect(rttMs === null).toBe(kept.every((one) => one === null));
    }),
  );
});

test("a gauge goes by what it has measured, and begins anew with what the server says", () => {
  const gauge = new Gauge();
  expect(gauge.quality).toBe(null);
  expect(gauge.measured(900).quality).toBe("poor");
  expect(gauge.told("good", 20)).toEqual({ quality: "good", rttMs: 20, loss: 0 });
  expect(gauge.told("fair")).toEqual({ quality: "fair", rttMs: null, loss: 0 });
  expect(gauge.measured(10).quality).toBe("fair");
  expect(gauge.quality).toEqual({ quality: "fair", rttMs: 10, loss: 0 });
});
