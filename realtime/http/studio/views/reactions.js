/** Reactions: buttons that send them, and marks that rise over the stage when many do. */

import { byId, clone, setText, part } from "../dom.js";
import { allow } from "../focus.js";
import { marksOf, short } from "../reactions.js";

// More at once would neither be told apart nor drawn smoothly.
const MOST_MARKS = 24;
const RISE_MS = 2600;
// A burst is what came within about that time.
const SPREAD_MS = 500;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

export function reactionsView(react) {
  const bar = byId("reactions");
  const marks = byId("marks");
  const buttons = [...bar.querySelectorAll("[data-kind]")];
  for (const button of buttons) button.addEventListener("click", () => react(button.dataset.kind));

  return {
    close() {
      marks.replaceChildren();
    },
    /** Shows a burst of `counts`, unless nobody looks, or nothing is to move. */
    burst(counts) {
      if (STILL.matches || document.hidden) return;
      for (const kind of marksOf(counts, MOST_MARKS - marks.childElementCount)) rise(marks, kind);
    },
    render({ view, joined, reactions }) {
      bar.hidden = !view || view.state === "ended";
      for (const button of buttons) {
        const total = reactions[button.dataset.kind] ?? 0;
        allow(button, joined);
        setText(part(button, "total"), total ? short(total) : "");
      }
    },
  };
}

function rise(layer, kind) {
  const mark = clone("mark-template");
  mark.firstElementChild.setAttribute("href", `/studio/icons.svg#reaction-${kind}`);
  mark.dataset.kind = kind;
  layer.append(mark);
  const aside = Math.random() * (layer.clientWidth - mark.clientWidth);
  const sway = (Math.random() - 0.5) * 60;
  const height = layer.clientHeight * (0.7 + Math.random() * 0.3);
  const moved = (x, y, scale) => `translate(${x}px, ${-y}px) scale(${scale})`;
  const frames = [
    { transform: moved(aside, 0, 0.3), opacity: 0 },
    { transform: moved(aside + sway * 0.3, height * 0.15, 1.15), opacity: 1, offset: 0.12 },
    { transform: moved(aside + sway, height * 0.65, 1), opacity: 0.95, offset: 0.65 },
    { transform: moved(aside + sway * 0.6, height, 0.85), opacity: 0 },
  ];
  const timing = { duration: RISE_MS, delay: Math.random() * SPREAD_MS, easing: "ease-out", fill: "both" };
  mark.animate(frames, timing).onfinish = () => mark.remove();
}
