// Moving traffic: dots run along the edges. More dots for a higher rate, faster dots for faster answers, red diamonds for
// errors. One canvas; nothing is drawn while the page is hidden or motion is unwanted.

import { moving } from "../motion.js";

const STEP = 4;
const MOST = 1600;

export function particles(canvas) {
  const context = canvas.getContext("2d");
  const lanes = new Map();
  let view = { x: 0, y: 0, k: 1 };
  let colours = {};
  let wanted = true;
  let count = 0;
  let dirty = true;

  /** `edges`: [{id, path element, rps, bps, isTcp, errorShare, p50, tone, isDim}]. */
  function set(edges) {
    const ids = new Set(edges.map((edge) => edge.id));
    for (const id of lanes.keys()) if (!ids.has(id)) lanes.delete(id);
    for (const edge of edges) {
      const lane = lanes.get(edge.id) ?? { dots: [], debt: Math.random(), shape: "" };
      const shape = edge.path.getAttribute("d");
      if (shape !== lane.shape) Object.assign(lane, { shape, points: sample(edge.path), dots: lane.shape === "" ? [] : lane.dots });
      lane.isTcp = edge.isTcp;
      lane.errorShare = edge.errorShare;
      lane.tone = edge.tone;
      lane.isDim = edge.isDim;
      lane.born = edge.isTcp ? born(edge.bps / 2000) : born(edge.rps);
      lane.speed = edge.isTcp ? 70 : speed(edge.p50);
      lanes.set(edge.id, lane);
    }
  }

  function move(passed) {
    if (!wanted && !dirty) return;
    const seconds = passed / 1000;
    count = 0;
    for (const lane of lanes.values()) {
      const end = (lane.points.length - 1) * STEP;
      lane.dots = lane.dots.filter((dot) => (dot.at += lane.speed * seconds) < end);
      lane.debt += lane.born * seconds;
      while (lane.debt >= 1) {
        lane.debt -= 1;
        if (count < MOST && wanted) lane.dots.push({ at: -Math.random() * 6, bad: Math.random() < lane.errorShare });
      }
      count += lane.dots.length;
    }
    paint();
  }

  function paint() {
    dirty = false;
    const ratio = devicePixelRatio || 1;
    const [wide, high] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, wide, high);
    if (!wanted) return;
    context.setTransform(view.k * ratio, 0, 0, view.k * ratio, view.x * ratio, view.y * ratio);
    for (const lane of lanes.values()) {
      context.globalAlpha = lane.isDim ? 0.15 : 1;
      context.fillStyle = colours[lane.tone] ?? colours.ok;
      for (const dot of lane.dots) if (!dot.bad) circle(lane, dot);
      context.fillStyle = colours.bad;
      for (const dot of lane.dots) if (dot.bad) diamond(lane, dot);
    }
  }

  function spot(lane, dot) {
    const at = Math.max(0, dot.at) / STEP;
    const low = Math.min(lane.points.length - 1, Math.floor(at));
    const high = Math.min(lane.points.length - 1, low + 1);
    const part = at - low;
    const [a, b] = [lane.points[low], lane.points[high]];
    return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part];
  }

  function circle(lane, dot) {
    const [x, y] = spot(lane, dot);
    context.beginPath();
    context.arc(x, y + (lane.isTcp ? (Math.floor(dot.at / 9) % 2 === 0 ? 1.6 : -1.6) : 0), lane.isTcp ? 1.8 : 2.6, 0, 6.2832);
    context.fill();
  }

  function diamond(lane, dot) {
    const [x, y] = spot(lane, dot);
    context.beginPath();
    context.moveTo(x, y - 4.4);
    context.lineTo(x + 4.4, y);
    context.lineTo(x, y + 4.4);
    context.lineTo(x - 4.4, y);
    context.fill();
  }

  moving(move);
  return {
    set,
    view(next) { view = { ...next }; if (count > 0) paint(); },
    colours(next) { colours = next; },
    show(now) { wanted = now; dirty = true; if (!now) { for (const lane of lanes.values()) lane.dots = []; paint(); } },
  };
}

/** Dots a second: grows with the logarithm of the rate, and is at least seldom. */
function born(rate) {
  return rate > 0 ? Math.min(7, 0.35 + 0.85 * Math.log(1 + rate)) : 0;
}

/** Pixels a second: 150 for an answer at once, 30 for one after seconds. */
function speed(milliseconds) {
  return Math.min(150, Math.max(30, 150 - 38 * Math.log10(1 + (milliseconds ?? 5))));
}

function sample(path) {
  const length = path.getTotalLength();
  const points = [];
  for (let at = 0; at <= length; at += STEP) {
    const point = path.getPointAtLength(at);
    points.push([point.x, point.y]);
  }
  const end = path.getPointAtLength(length);
  points.push([end.x, end.y]);
  return points;
}
