/** The audience over time, as far as this page has seen it. Pure. */

const CAPACITY = 400;
// How many of the latest samples are kept as they are, and into how many times of equal length the others are divided.
const LATEST = 100;
const PARTS = 80;
const SHORTEST_MS = 60_000;
export const WIDTH = 600;
export const HEIGHT = 150;

/** Gives the samples `{at, watching, users}` with one more. What stays the same takes no room, and old detail makes way. */
export function withSample(samples, sample) {
  const last = samples.at(-1);
  if (last && last.watching === sample.watching && last.users === sample.users) return samples;
  const kept = [...before(samples, sample.at), sample];
  return kept.length <= CAPACITY ? kept : thinned(kept);
}

/** Gives the samples as of a time. Where the clock was set back, they are moved with it: what it says now is taken to be right. */
function before(samples, at) {
  const ahead = samples.length ? samples.at(-1).at - at : 0;
  return ahead > 0 ? samples.map((sample) => ({ ...sample, at: sample.at - ahead })) : samples;
}

/** Gives fewer samples: of each old part the highest, the lowest and the last, so that neither a peak nor a dip is lost. */
function thinned(samples) {
  const old = samples.slice(0, -LATEST);
  const from = old[0].at;
  const length = (old.at(-1).at - from) / PARTS || 1;
  const parts = new Map();
  for (const sample of old) {
    const index = Math.floor((sample.at - from) / length);
    parts.set(index, withExtremes(parts.get(index), sample));
  }
  const telling = new Set([old[0], ...[...parts.values()].flatMap(({ high, low, last }) => [high, low, last])]);
  return samples.filter((sample, index) => index >= old.length || telling.has(sample));
}

function withExtremes({ high, low } = {}, sample) {
  return {
    high: high && high.users >= sample.users ? high : sample,
    low: low && low.users <= sample.users ? low : sample,
    last: sample,
  };
}

/** Tells whether something is a list of samples: what was kept may be of another version of this page. */
export function areSamples(value) {
  return Array.isArray(value) && value.every(({ at, users, watching }) => [at, users, watching].every(Number.isFinite));
}

/** Gives what was the case at a time; null before the first sample. */
export function sampleAt(samples, at) {
  return samples.findLast((sample) => sample.at <= at) ?? null;
}

/** Gives the sample with the most people, the first of several; null where there is none. */
export function peakOf(samples) {
  return samples.reduce((peak, sample) => (peak && peak.users >= sample.users ? peak : sample), null);
}

/**
 * Gives `{from, to, top, users, watching, area, grid}`: the times at both ends, the number at the upper edge, and paths in a
 * box of `WIDTH` by `HEIGHT`; null without samples.
 */
export function plotOf(samples, now) {
  if (!samples.length) return null;
  const to = Math.max(now, samples.at(-1).at);
  const from = Math.min(samples[0].at, to - SHORTEST_MS);
  const top = niceTop(Math.max(...samples.map(({ users, watching }) => Math.max(users, watching))));
  const line = (name) => stepsOf(samples, name, from, to, top);
  const watching = line("watching");
  const area = `${watching}V${HEIGHT}H${round(xOf(samples[0].at, from, to))}Z`;
  return { from, to, top, users: line("users"), watching, area, grid: gridOf() };
}

/** Gives an even number, in two digits at most, that nothing is above. */
export function niceTop(most) {
  const size = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, most))) - 1);
  return Math.max(2, 2 * size * Math.ceil(most / (2 * size)));
}

function stepsOf(samples, name, from, to, top) {
  const steps = samples.map((sample, index) => {
    const [x, y] = [round(xOf(sample.at, from, to)), round(HEIGHT * (1 - sample[name] / top))];
    return index ? `H${x}V${y}` : `M${x} ${y}`;
  });
  return `${steps.join("")}H${WIDTH}`;
}

function gridOf() {
  return [0, 0.5, 1].map((part) => `M0 ${HEIGHT * part}H${WIDTH}`).join("");
}

function xOf(at, from, to) {
  return (WIDTH * (at - from)) / (to - from);
}

function round(number) {
  return Math.round(number * 10) / 10;
}
