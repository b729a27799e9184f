/** How a picture of any shape fits a place of any shape, and how a camera that is turned is encoded. Pure. */

// As much of a picture may be cut off for it to fill its place.
const MOST_CUT = 0.2;
const LOW = { long: 320, short: 180, framerate: 15, bitrate: 140 };
const HIGH = { long: 1280, short: 720, frameRate: 24, bitrateMax: 1800 };

/** Gives "cover" where little is lost by filling the place, and "contain" where it would be too much. Sizes are `{width, height}`. */
export function fitOf(picture, place) {
  if (!isReal(picture) || !isReal(place)) return "contain";
  const [one, other] = [picture.width / picture.height, place.width / place.height];
  return 1 - Math.min(one, other) / Math.max(one, other) <= MOST_CUT ? "cover" : "contain";
}

/** Gives "wide", "tall" or "square": the shape of the place that a picture asks for. */
export function shapeOf(picture) {
  if (!isReal(picture)) return "wide";
  const ratio = picture.width / picture.height;
  return ratio > 1.2 ? "wide" : ratio < 0.83 ? "tall" : "square";
}

/** Gives what to ask of an encoder for a device held that way. */
export function encodingOf(portrait) {
  const { long, short, frameRate, bitrateMax } = HIGH;
  return { width: portrait ? short : long, height: portrait ? long : short, frameRate, bitrateMax };
}

/** Gives what the small stream beside it is to be, for those whose network is slow. */
export function smallOf(portrait) {
  const { long, short, framerate, bitrate } = LOW;
  return { width: portrait ? short : long, height: portrait ? long : short, framerate, bitrate };
}

function isReal({ width, height }) {
  return width > 0 && height > 0;
}
