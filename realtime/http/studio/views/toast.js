/** A piece of news that nobody has to answer. */

import { byId, setText } from "../dom.js";

const SHOWN_MS = 6000;
let hiding;

export function toast(words) {
  const place = byId("toast");
  place.hidden = false;
  setText(place, words);
  clearTimeout(hiding);
  hiding = setTimeout(hush, SHOWN_MS);
}

/** Takes the news away, where what it is about is shown. */
export function hush() {
  byId("toast").hidden = true;
  setText(byId("toast"), "");
}
