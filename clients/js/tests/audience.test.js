import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { audienceAfter, audienceFrom } from "../src/audience.js";

const vectors = JSON.parse(readFileSync(new URL("../../../tests/vectors/audience.json", import.meta.url), "utf8"));

describe("what a client makes of what it is told", () => {
  for (const { name, joined, numbers, present, steps } of vectors.cases) {
    test(name, () => {
      let audience = audienceFrom(joined);
      expect(audience).toEqual({ numbers, present });
      for (const step of steps) {
        audience = audienceAfter(audience, step.signal);
        expect(audience).toEqual({ numbers: step.numbers, present: step.present });
      }
    });
  }
});

describe("what a server tells ends in the same list", () => {
  for (const { name, steps } of vectors.told) {
    test(name, () => {
      /** @type {import("../src/audience.js").Audience} */
      let audience = { numbers: {}, present: null };
      for (const { tells, list } of steps) {
        if (tells) audience = audienceAfter(audience, { audience: {}, ...tells });
        expect(audience.present).toEqual(list);
      }
    });
  }
});
