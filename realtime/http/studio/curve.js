/** The audience over time, as far as this page has seen it. Pure. */

const CAPACITY = 400;
const SHORTEST_MS = 60_000;
export const WIDTH = 600;
export const HEIGHT = 150;

/** Gives the samples `{at, watching, users}` with one more. What stays the same takes no room, and old detail makes way. */
export function withSample(samples, sample) {
  const last = samples.at(-1);
  if (last && last.watching === sample.watching && last.users === sample.users) return samples;
  const kept = [...samples, sample];
  return kept.length <= CAPACITY ? kept : kept.filter((_, index) => index % 2 === 0 || index > CAPACITY / 2);
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
