// The marks themselves: a service (capsule with a triangle), a workload (card with a health ring), a gateway, an edge.

import { attr, s, text } from "../dom.js";
import { lockIcon } from "../cells.js";
import { byteRate, rate, share, time } from "../format.js";

export function nodeMark(kind, actions) {
  return kind === "service" ? serviceMark(actions) : cardMark(kind, actions);
}

/** Writes as much of the words as there is room for, measured in the font that is really used. */
function fit(element, words, room) {
  const key = `${words} ${room}`;
  if (element.fitted === key) return;
  element.fitted = key;
  element.textContent = words;
  for (let length = words.length - 1; length > 1 && element.getComputedTextLength() > room; length -= 1) element.textContent = `${words.slice(0, length)}…`;
}

function moveTo(group, place) {
  attr(group, "transform", `translate(${place.x} ${place.y})`);
}

function classes(group, node, base) {
  for (const name of ["ok", "warn", "bad", "idle"]) group.classList.toggle(name, node.tone === name);
  group.classList.toggle("outside", node.isOutside);
  if (!group.classList.contains(base)) group.classList.add("node", base);
}

function describe(group, node) {
  const name = [node.title, node.version].filter(Boolean).join(" ");
  attr(group, "aria-label", `${node.kind} ${name} in ${node.namespace}: ${rate(node.rps)}, ${share(node.errorShare)} errors`);
}

function serviceMark(actions) {
  const shape = s("rect", { class: "shape", rx: 16 });
  const triangle = s("path", { class: "glyph", d: "M0-6.4 7 5.6H-7z" });
  const name = s("text", { class: "title", y: 4.4 });
  const full = s("title", {});
  const group = s("g", { tabindex: 0, role: "button", ...actions }, full, shape, triangle, name);
  return {
    kind: "service", parts: [group],
    set(node, place) {
      moveTo(group, place);
      classes(group, node, "service");
      describe(group, node);
      const { width, height } = place;
      for (const [key, value] of Object.entries({ x: -width / 2, y: -height / 2, width, height })) attr(shape, key, value);
      attr(triangle, "transform", `translate(${-width / 2 + 19} 0)`);
      attr(name, "x", -width / 2 + 33);
      fit(name, node.title, width - 42);
      text(full, `${node.title} · ${node.namespace}`);
    },
  };
}

const GLYPHS = {
  gateway: "M-5.5 0h8M-.5-4 3.5 0-.5 4M6.2-5.5v11",
  unknown: "M-2.6-2.2a2.7 2.7 0 1 1 3.8 2.4c-.8.4-1.2.9-1.2 1.9M0 5v.2",
};

function cardMark(kind, actions) {
  const shape = s("rect", { class: "shape", rx: 12 });
  const track = s("circle", { class: "ring", r: 13 });
  const failed = s("circle", { class: "ring-bad", r: 13, pathLength: 100, transform: "rotate(-90)" });
  const core = GLYPHS[kind] ? s("path", { class: "glyph-line", d: GLYPHS[kind] }) : s("circle", { class: "core", r: 5.2 });
  const planet = s("g", {}, track, failed, core);
  const title = s("text", { class: "title", y: -4 });
  const version = s("tspan", { class: "version", dx: 5 });
  const name = s("tspan", {});
  title.append(name, version);
  const sub = s("text", { class: "sub", y: 13 });
  const full = s("title", {});
  const group = s("g", { tabindex: 0, role: "button", ...actions }, full, shape, planet, title, sub);
  return {
    kind, parts: [group],
    set(node, place) {
      moveTo(group, place);
      classes(group, node, kind);
      describe(group, node);
      const { width, height } = place;
      for (const [key, value] of Object.entries({ x: -width / 2, y: -height / 2, width, height })) attr(shape, key, value);
      attr(planet, "transform", `translate(${-width / 2 + 25} 0)`);
      for (const one of [title, sub]) attr(one, "x", -width / 2 + 46);
      fit(version, node.version, 64);
      fit(name, node.title, width - 54 - (node.version ? version.getComputedTextLength() + 5 : 0));
      attr(failed, "stroke-dasharray", `${Math.min(100, node.errorShare * 100).toFixed(1)} 100`);
      attr(failed, "visibility", node.errorShare > 0 ? "visible" : "hidden");
      text(sub, subtitle(node));
      text(full, `${node.workload || node.title} · ${node.namespace}`);
    },
  };
}

function subtitle(node) {
  if (node.rps > 0) return node.p95 === null ? rate(node.rps) : `${rate(node.rps)} · ${time(node.p95)}`;
  return node.bps > 0 ? byteRate(node.bps) : "idle";
}

export function edgeMark(actions) {
  const line = s("path", { class: "edge" });
  const head = s("path", { class: "head" });
  const hit = s("path", { class: "hit", tabindex: 0, role: "button", ...actions });
  const label = s("g", { class: "label", ...actions, onkeydown: undefined });
  let shape = "";
  return {
    parts: [line, head, hit, label], line, head, hit, label,
    set(edge, route, words) {
      if (route.path !== shape) {
        shape = route.path;
        attr(line, "d", shape);
        attr(hit, "d", shape);
        attr(head, "d", arrow(line));
      }
      for (const part of [line, head]) attr(part, "data-tone", edge.tone);
      const strength = edge.isTcp ? edge.bps / 2000 : edge.rps;
      attr(line, "stroke-width", edge.isIdle ? 1.3 : (1.3 + Math.min(2.4, Math.log10(1 + strength) * 1.1)).toFixed(1));
      attr(hit, "aria-label", words);
    },
  };
}

function arrow(line) {
  const length = line.getTotalLength();
  const tip = line.getPointAtLength(length);
  const back = line.getPointAtLength(Math.max(0, length - 8));
  const turn = Math.atan2(tip.y - back.y, tip.x - back.x);
  const wing = (angle) => `${(tip.x - 8.5 * Math.cos(turn + angle)).toFixed(1)} ${(tip.y - 8.5 * Math.sin(turn + angle)).toFixed(1)}`;
  return `M${tip.x.toFixed(1)} ${tip.y.toFixed(1)}L${wing(0.42)}L${wing(-0.42)}Z`;
}

/** Writes a label's lines; the group is rebuilt only when its words change. */
export function placeLabel(mark, route, lines, mtls, isIdle) {
  const { label } = mark;
  const locked = mtls === null || mtls === undefined || isIdle ? "" : mtls >= 99.95 ? "full" : mtls > 0 ? "part" : "none";
  const key = JSON.stringify([lines, locked]);
  attr(label, "transform", `translate(${route.labelX ?? 0} ${route.labelY ?? 0})`);
  label.toggleAttribute("hidden", lines.length === 0 && locked === "");
  if (label.dataset.key === key) return;
  label.dataset.key = key;
  const badge = locked === "" ? 0 : 14;
  const back = s("rect", { class: "back", rx: 6 });
  const rows = lines.map((line) => s("text", {}, line.map((part, index) => s("tspan", { class: part.tone, dx: index > 0 ? 5 : 0 }, part.text))));
  const icon = locked === "" ? null : lockIcon(locked !== "none");
  icon?.classList.add("lock", locked);
  label.replaceChildren(...[back, ...rows, icon].filter(Boolean));
  const lengths = rows.map((row) => row.getComputedTextLength());
  const first = (lengths[0] ?? -4) + badge;
  const width = Math.max(first, ...lengths) + 12;
  const height = Math.max(1, rows.length) * 13 + 5;
  for (const [name, value] of Object.entries({ x: -width / 2, y: -height / 2, width, height })) attr(back, name, value.toFixed(1));
  rows.forEach((row, at) => {
    attr(row, "x", (at === 0 ? badge - first / 2 : -lengths[at] / 2).toFixed(1));
    attr(row, "y", -height / 2 + 13 + at * 13);
  });
  if (icon) {
    attr(icon, "x", (-first / 2 - (rows.length === 0 ? -0.5 : 0)).toFixed(1));
    attr(icon, "y", -height / 2 + 2.5);
  }
}
