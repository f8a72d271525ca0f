// A line the size of a word: the shape of the last minutes, without axes.

import { attr, s } from "./dom.js";
import { runs } from "./series.js";

export function sparkline({ width = 120, height = 28, tone = "accent", label = "Recent course" } = {}) {
  const area = s("path", { class: `area tone-${tone}` });
  const line = s("path", { class: `line tone-${tone}` });
  const element = s("svg", { viewBox: `0 0 ${width} ${height}`, class: "spark", role: "img", "aria-label": label, preserveAspectRatio: "none" }, area, line);
  function set(points) {
    const first = points[0]?.[0] ?? 0;
    const long = Math.max(1, (points.at(-1)?.[0] ?? 1) - first);
    const most = Math.max(0, ...points.map((point) => point[1] ?? 0));
    element.classList.toggle("flat", most === 0);
    const x = (time) => (((time - first) / long) * width).toFixed(1);
    const y = (value) => (height - 2 - (most > 0 ? value / most : 0) * (height - 5)).toFixed(1);
    const pieces = runs(points);
    const trace = (run) => run.map(([time, value]) => `${x(time)} ${y(value)}`).join("L");
    attr(line, "d", pieces.map((run) => `M${trace(run)}`).join(""));
    attr(area, "d", pieces.map((run) => `M${x(run[0][0])} ${height}L${trace(run)}L${x(run.at(-1)[0])} ${height}Z`).join(""));
  }
  return { element, set };
}
