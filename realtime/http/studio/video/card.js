/** Draws the test picture: a card in the manner of the old broadcasters', with a hand that shows that it moves. */

import { asClock } from "../words.js";

const TAU = 2 * Math.PI;
const BARS = ["#f4f1e6", "#f2c14e", "#3fcdb4", "#4fb06d", "#b06ab3", "#e4572e", "#3c6e9f"];
const FONT = "Inter, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif";
const WIDEST = 1100;
const HAND_MS = 4000;
const DRIFT_MS = 9000;

/** Draws `{title, host, ms}` at the whole size of a canvas' context; `ms` is what the session's clock shows. */
export function drawCard(context, { title, host, ms }) {
  const { width, height } = context.canvas;
  context.save();
  context.scale(width / 1280, height / 720);
  ground(context, ms);
  bars(context);
  dial(context, ms);
  words(context, title, host, ms);
  context.restore();
}

function ground(context, ms) {
  context.fillStyle = "#0f2a2c";
  context.fillRect(0, 0, 1280, 720);
  const angle = (TAU * ms) / DRIFT_MS;
  light(context, 330 + 120 * Math.cos(angle), 180 + 60 * Math.sin(angle), 620, "rgb(240 150 90 / 55%)");
  light(context, 980 - 140 * Math.cos(angle * 0.7), 240, 640, "rgb(38 160 150 / 70%)");
  light(context, 640, 640 + 60 * Math.sin(angle), 560, "rgb(120 70 150 / 50%)");
}

function light(context, x, y, radius, colour) {
  const gradient = context.createRadialGradient(x, y, 0, x, y, radius);
  gradient.addColorStop(0, colour);
  gradient.addColorStop(1, colour.replace(/[\d.]+%/, "0%"));
  context.fillStyle = gradient;
  context.fillRect(0, 0, 1280, 720);
}

function bars(context) {
  const width = 1280 / BARS.length;
  BARS.forEach((colour, index) => {
    context.fillStyle = colour;
    context.fillRect(index * width, 664, width + 1, 56);
  });
}

function dial(context, ms) {
  context.lineCap = "round";
  context.strokeStyle = "rgb(255 255 255 / 28%)";
  context.lineWidth = 2;
  for (const radius of [190, 240]) ring(context, radius, 0, TAU);
  for (let tick = 0; tick < 60; tick += 1) spoke(context, (TAU * tick) / 60, tick % 5 ? 228 : 214, 240);
  context.strokeStyle = "#ffd166";
  context.lineWidth = 8;
  const turned = (TAU * (ms % HAND_MS)) / HAND_MS - TAU / 4;
  ring(context, 215, turned - 0.9, turned);
}

function ring(context, radius, from, to) {
  context.beginPath();
  context.arc(640, 330, radius, from, to);
  context.stroke();
}

function spoke(context, angle, from, to) {
  context.beginPath();
  context.moveTo(640 + from * Math.cos(angle), 330 + from * Math.sin(angle));
  context.lineTo(640 + to * Math.cos(angle), 330 + to * Math.sin(angle));
  context.stroke();
}

function words(context, title, host, ms) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  write(context, asClock(ms), 320, 92, 700);
  write(context, "TEST PICTURE", 395, 24, 700, "#ffd166");
  write(context, host, 250, 26, 500, "rgb(255 255 255 / 82%)");
  write(context, title, 622, 30, 600);
}

function write(context, text, y, size, weight, colour = "#fff") {
  context.font = `${weight} ${size}px ${FONT}`;
  context.fillStyle = colour;
  context.fillText(fitting(context, text), 640, y, WIDEST);
}

/** Gives as much of a text as can be read: squeezed into one line, a long one could not. */
function fitting(context, text) {
  const { width } = context.measureText(text);
  if (width <= WIDEST) return text;
  const characters = [...text];
  return `${characters.slice(0, Math.floor((characters.length * WIDEST) / width) - 1).join("")}…`;
}
