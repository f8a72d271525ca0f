// A time chart: axes, several lines, gaps where nothing is known, and a readout under the pointer or the arrow keys.
// All charts of a page show the same moment.

import { attr, h, s, text } from "./dom.js";
import { clock, hour } from "./format.js";
import { last, nearest, runs, ticks } from "./series.js";

const LEFT = 46;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 20;
const moment = new EventTarget();

/**
 * `lines`: [{key, name, tone, fill}]; `format` for the readout, `axis` for the ticks.
 * `set({key: points})` draws. The element fills its parent's width.
 */
export function chart({ title, note = "", lines, format, axis = format, height = 150 }) {
  let data = {};
  let width = 0;
  let at = null;
  const values = lines.map(() => h("b", {}));
  const keys = lines.map((line, index) => h("span", { class: `key tone-${line.tone}` }, lines.length > 1 ? h("i", { "aria-hidden": "true" }) : null, lines.length > 1 ? line.name : null, values[index]));
  const when = h("span", { class: "when" });
  const grid = s("g", { class: "grid" });
  const areas = lines.map((line) => s("path", { class: `area tone-${line.tone}` }));
  const strokes = lines.map((line) => s("path", { class: `line tone-${line.tone}` }));
  const needle = s("line", { class: "needle", y1: TOP, y2: height - BOTTOM, visibility: "hidden" });
  const dots = lines.map((line) => s("circle", { class: `dot tone-${line.tone}`, r: 3, visibility: "hidden" }));
  const svg = s("svg", { height, class: "plot", tabindex: 0, role: "img", "aria-label": `${title} over time; arrow keys read single values` }, grid, areas, strokes, needle, dots);
  const none = h("p", { class: "chart-none", hidden: true }, "No data in this window");
  const element = h("figure", { class: "chart card" }, h("figcaption", {}, h("span", { class: "chart-title" }, title, note ? h("small", {}, note) : null), h("span", { class: "keys" }, when, keys)), h("div", { class: "plot-box" }, svg, none));

  const points = (index) => data[lines[index].key] ?? [];
  const longest = () => lines.map((_, index) => points(index)).reduce((a, b) => (b.length > a.length ? b : a), []);

  function scale() {
    const all = longest();
    const first = all[0]?.[0] ?? 0;
    const final = Math.max(all.at(-1)?.[0] ?? 1, first + 1);
    const most = Math.max(0, ...lines.flatMap((_, index) => points(index).map((point) => point[1] ?? 0)));
    const marks = ticks(most);
    const top = marks.at(-1);
    return {
      first, final, marks,
      x: (time) => LEFT + ((time - first) / (final - first)) * (width - LEFT - RIGHT),
      y: (value) => height - BOTTOM - (value / top) * (height - TOP - BOTTOM),
    };
  }

  function draw() {
    if (width < 40) return;
    attr(svg, "viewBox", `0 0 ${width} ${height}`);
    const all = longest();
    const known = all.some((_, at_) => lines.some((_line, index) => points(index)[at_]?.[1] !== null && points(index)[at_] !== undefined));
    none.hidden = known;
    const to = scale();
    drawGrid(to, all.length > 1);
    lines.forEach((line, index) => {
      const pieces = runs(points(index));
      const path = pieces.map((run) => run.map(([time, value], step) => `${step === 0 ? "M" : "L"}${to.x(time).toFixed(1)} ${to.y(value).toFixed(1)}`).join("") + (run.length === 1 ? "h0.01" : "")).join("");
      attr(strokes[index], "d", path);
      const area = !line.fill ? "" : pieces.map((run) => `M${to.x(run[0][0]).toFixed(1)} ${to.y(0)}` + run.map(([time, value]) => `L${to.x(time).toFixed(1)} ${to.y(value).toFixed(1)}`).join("") + `L${to.x(run.at(-1)[0]).toFixed(1)} ${to.y(0)}Z`).join("");
      attr(areas[index], "d", area);
    });
    read(to);
  }

  function drawGrid(to, timed) {
    const parts = to.marks.map((mark) => s("g", {}, s("line", { x1: LEFT, x2: width - RIGHT, y1: to.y(mark), y2: to.y(mark) }), s("text", { x: LEFT - 7, y: to.y(mark) + 3.5, "text-anchor": "end" }, axis(mark))));
    const steps = timed ? Math.max(2, Math.min(6, Math.floor(width / 120))) : 0;
    for (let step = 0; step <= steps && timed; step += 1) {
      const time = to.first + ((to.final - to.first) * step) / steps;
      const anchor = step === 0 ? "start" : step === steps ? "end" : "middle";
      const label = to.final - to.first > 1200 ? hour(time) : clock(time);
      parts.push(s("text", { x: to.x(time), y: height - 5, "text-anchor": anchor }, label));
    }
    grid.replaceChildren(...parts);
  }

  function read(to = scale()) {
    const all = longest();
    const shown = at === null || all.length === 0 ? null : nearest(all, at);
    needle.setAttribute("visibility", shown === null ? "hidden" : "visible");
    if (shown !== null) for (const end of ["x1", "x2"]) attr(needle, end, to.x(all[shown][0]).toFixed(1));
    text(when, shown === null ? "" : clock(all[shown][0]));
    lines.forEach((_, index) => {
      const own = points(index);
      const here = shown === null || own.length === 0 ? null : own[nearest(own, all[shown][0])];
      const value = shown === null ? last(own) : here?.[1] ?? null;
      text(values[index], value === null ? "–" : format(value));
      const visible = here && here[1] !== null && here[1] !== undefined;
      dots[index].setAttribute("visibility", visible ? "visible" : "hidden");
      if (visible) {
        attr(dots[index], "cx", to.x(here[0]).toFixed(1));
        attr(dots[index], "cy", to.y(here[1]).toFixed(1));
      }
    });
  }

  function show(time) {
    moment.dispatchEvent(new CustomEvent("show", { detail: time }));
  }
  moment.addEventListener("show", (event) => {
    at = event.detail;
    if (width >= 40) read();
  });
  svg.addEventListener("pointermove", (event) => {
    const to = scale();
    const place = (event.clientX - svg.getBoundingClientRect().left - LEFT) / Math.max(1, width - LEFT - RIGHT);
    show(to.first + Math.min(1, Math.max(0, place)) * (to.final - to.first));
  });
  svg.addEventListener("pointerleave", () => show(null));
  svg.addEventListener("blur", () => show(null));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const all = longest();
    if (!step || all.length === 0) return;
    event.preventDefault();
    const from = at === null ? all.length - (step < 0 ? 0 : 1) : nearest(all, at);
    show(all[Math.min(all.length - 1, Math.max(0, from + step))][0]);
  });
  new ResizeObserver(([entry]) => {
    width = Math.round(entry.contentRect.width);
    draw();
  }).observe(element.querySelector(".plot-box"));
  return { element, set(next) { data = next ?? {}; draw(); } };
}
