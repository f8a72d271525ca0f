// Traces as points: when, and how long (a logarithmic scale); errors are diamonds. A point leads to its trace.

import { h, s } from "../dom.js";
import { clock, time } from "../format.js";

const WIDTH = 1000;
const HEIGHT = 130;
const LEFT = 56;
const BOTTOM = 20;

export function scatter(place, traces) {
  place.hidden = traces.length < 2;
  if (place.hidden) return place.replaceChildren();
  const durations = traces.map((trace) => Math.max(1, trace.duration));
  const low = Math.log10(Math.min(...durations)) - 0.08;
  const high = Math.max(Math.log10(Math.max(...durations)) + 0.08, low + 0.5);
  const first = Math.min(...traces.map((trace) => trace.start));
  const last = Math.max(...traces.map((trace) => trace.start), first + 1);
  const wide = Math.max(320, place.clientWidth || WIDTH);
  const x = (start) => LEFT + 10 + ((start - first) / (last - first)) * (wide - LEFT - 30);
  const y = (duration) => 10 + (1 - (Math.log10(Math.max(1, duration)) - low) / (high - low)) * (HEIGHT - BOTTOM - 18);
  const marks = [];
  for (let power = Math.ceil(low * 3) / 3; power <= high; power += 1 / 3) marks.push(niceDuration(10 ** power));
  const grid = [...new Set(marks)].filter((mark) => Math.log10(mark) >= low && Math.log10(mark) <= high).map((mark) => s("g", { class: "grid" },
    s("line", { x1: LEFT, x2: wide - 8, y1: y(mark), y2: y(mark) }), s("text", { x: LEFT - 7, y: y(mark) + 3.5, "text-anchor": "end" }, time(mark / 1000))));
  const ends = [[first, "start", x(first) - 10], [last, "end", wide - 8]].map(([at, anchor, left]) => s("text", { class: "axis", x: left, y: HEIGHT - 4, "text-anchor": anchor }, clock(at / 1e6)));
  const points = traces.map((trace) => s("a", { href: `/traces/${encodeURIComponent(trace.id)}`, "aria-label": `Trace of ${time(trace.duration / 1000)}${trace.errors > 0 ? ", with errors" : ""}` },
    s("title", {}, `${time(trace.duration / 1000)}, ${trace.root.service}`),
    trace.errors > 0 ? s("path", { class: "point bad", d: diamond(x(trace.start), y(trace.duration)) }) : s("circle", { class: "point", cx: x(trace.start).toFixed(1), cy: y(trace.duration).toFixed(1), r: 4 })));
  place.replaceChildren(h("div", { class: "card scatter-card" }, s("svg", { viewBox: `0 0 ${wide} ${HEIGHT}`, role: "group", "aria-label": "Traces by time and duration" }, grid, ends, points)));
}

function niceDuration(raw) {
  const power = 10 ** Math.floor(Math.log10(raw) + 1e-9);
  return [1, 2, 5, 10].reduce((best, factor) => (Math.abs(Math.log(factor * power / raw)) < Math.abs(Math.log(best / raw)) ? factor * power : best), power);
}

function diamond(x, y) {
  return `M${x.toFixed(1)} ${(y - 5).toFixed(1)}l5 5-5 5-5-5z`;
}
