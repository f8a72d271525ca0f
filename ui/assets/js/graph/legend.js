// What the marks mean.

import { h, s } from "../dom.js";

const ENTRIES = [
  ["Healthy", s("circle", { class: "fill-ok", cx: 8, cy: 6, r: 4 })],
  ["Degraded", s("circle", { class: "fill-warn", cx: 8, cy: 6, r: 4 })],
  ["Failing", s("path", { class: "fill-bad", d: "M8 1.5 12.5 6 8 10.5 3.5 6z" })],
  ["TCP", s("circle", { class: "fill-tcp", cx: 8, cy: 6, r: 4 })],
  ["Idle", s("path", { class: "idle-line", d: "M1 6h14" })],
];

export function legend() {
  const items = ENTRIES.map(([label, sign]) => h("span", {}, s("svg", { viewBox: "0 0 16 12", width: 16, height: 12, "aria-hidden": "true" }, sign), label));
  return h("div", { class: "legend-row" }, items);
}
