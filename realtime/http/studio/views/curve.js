/** The audience over time, as a plot that people can read a moment off, and in words for those who cannot see it. */

import { WIDTH, HEIGHT, areSamples, peakOf, plotOf, sampleAt, withSample } from "../curve.js";
import { byId, setText, shortTime } from "../dom.js";
import { keep, kept } from "../keeping.js";

const KEY = "stagewire.audience.";
// How often a plot that stands still moves on.
const DRAWN_MS = 1000;

export function curveView() {
  const plot = byId("plot");
  let key = "";
  let samples = [];
  let shown = null;
  let drawnAt = 0;

  plot.addEventListener("pointermove", ({ clientX }) => {
    const { left, width } = plot.querySelector("svg").getBoundingClientRect();
    point(Math.min(1, Math.max(0, (clientX - left) / width)));
  });
  plot.addEventListener("pointerleave", () => point(null));

  function point(share) {
    const at = share === null || !shown ? null : shown.from + share * (shown.to - shown.from);
    const sample = at === null ? null : sampleAt(samples, at);
    byId("plot-readout").hidden = !sample;
    byId("plot-at").setAttribute("d", sample ? `M${share * WIDTH} 0V${HEIGHT}` : "");
    if (sample) setText(byId("plot-readout"), `${shortTime(at)}: ${sample.watching} watching, ${people(sample.users)}`);
  }

  function draw(now) {
    shown = plotOf(samples, now);
    drawnAt = now;
    if (!shown) return;
    for (const name of ["grid", "area", "users", "watching"]) byId(`plot-${name}`).setAttribute("d", shown[name]);
    const [top, middle, bottom] = byId("plot-ticks").children;
    setText(top, String(shown.top));
    setText(middle, String(shown.top / 2));
    setText(bottom, "0");
    setText(byId("plot-from"), shortTime(shown.from));
    setText(byId("plot-to"), "now");
    setText(byId("curve-words"), wordsOf(samples));
  }

  return {
    open(id) {
      key = KEY + id;
      samples = kept(key, areSamples) ?? [];
      draw(samples.at(-1)?.at ?? 0);
    },
    /** Takes note of the audience, and says whether there is a plot to show. */
    render({ audience, joined, view }, visible) {
      byId("curve").hidden = !visible || !samples.length;
      byId("curve-words").hidden = view?.state === "ended";
      const { watching, users } = audience.numbers;
      if (!joined || users === undefined || view.state === "ended") return;
      const before = samples;
      samples = withSample(samples, { at: Date.now(), watching: watching ?? 0, users });
      if (samples === before) return;
      keep(key, samples);
      draw(Date.now());
    },
    tick(now, moves) {
      if (moves && now - drawnAt >= DRAWN_MS) draw(now);
    },
  };
}

function people(users) {
  return users === 1 ? "1 person" : `${users} people`;
}

function wordsOf(samples) {
  const { users, watching } = samples.at(-1);
  const peak = peakOf(samples);
  return `Now ${watching} watching, of ${people(users)} here. Most so far: ${people(peak.users)}, at ${shortTime(peak.at)}.`;
}
