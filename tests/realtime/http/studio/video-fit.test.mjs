import assert from "node:assert/strict";
import test from "node:test";

import { encodingOf, fitOf, shapeOf, smallOf } from "../../../../realtime/http/studio/video/fit.js";
import { goalOf } from "../../../../realtime/http/studio/video/wanted.js";

const size = (width, height) => ({ width, height });

test("a picture fills its place where little of it is lost", () => {
  assert.equal(fitOf(size(1280, 720), size(800, 450)), "cover");
  assert.equal(fitOf(size(1280, 720), size(800, 500)), "cover");
  assert.equal(fitOf(size(720, 1280), size(800, 450)), "contain");
  assert.equal(fitOf(size(1280, 720), size(390, 844)), "contain");
  assert.equal(fitOf(size(0, 0), size(800, 450)), "contain");
  assert.equal(fitOf(size(1280, 720), size(800, 0)), "contain");
});

test("a picture's shape", () => {
  assert.equal(shapeOf(size(1280, 720)), "wide");
  assert.equal(shapeOf(size(720, 1280)), "tall");
  assert.equal(shapeOf(size(600, 600)), "square");
  assert.equal(shapeOf(size(0, 0)), "wide");
});

test("a camera that is turned is encoded as it is held", () => {
  assert.deepEqual([encodingOf(false).width, encodingOf(false).height], [1280, 720]);
  assert.deepEqual([encodingOf(true).width, encodingOf(true).height], [720, 1280]);
  assert.deepEqual([smallOf(false).width, smallOf(false).height], [320, 180]);
  assert.deepEqual([smallOf(true).width, smallOf(true).height], [180, 320]);
});

test("the host publishes from the device that runs the session, and everyone else plays", () => {
  const live = { view: { state: "live", host: "alice" }, fault: "" };
  assert.equal(goalOf(live, "alice", true), "publish");
  assert.equal(goalOf(live, "alice", false), "publish");
  assert.equal(goalOf(live, "bob", true), "play");
  assert.equal(goalOf(live, "bob", false), "none");
  assert.equal(goalOf({ ...live, elsewhere: true }, "alice", true), "play");
  assert.equal(goalOf({ ...live, displaced: true }, "alice", true), "none");
  assert.equal(goalOf({ ...live, fault: "No." }, "bob", true), "none");
  assert.equal(goalOf({ view: null, fault: "" }, "bob", true), "none");
  for (const state of ["scheduled", "paused", "interrupted", "ended"]) assert.equal(goalOf({ view: { state, host: "alice" }, fault: "" }, "bob", true), "none");
});
