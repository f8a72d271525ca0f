// The waterfall: one line for each span, its place in time, and all that it says when it is opened.

import { h, s, text } from "../dom.js";
import { explainFlags } from "../codes.js";
import { share, time } from "../format.js";
import { criticalPath, hue, ownTime, shortName } from "./model.js";

export function waterfall(place, trace) {
  const critical = criticalPath(trace);
  const closed = new Set();
  const rows = trace.spans.map((span) => row(span, trace, critical, closed, refresh));
  function refresh() {
    for (const one of rows) {
      let hidden = false;
      for (let parent = one.span.parent; parent; parent = parent.parent) hidden ||= closed.has(parent);
      one.element.hidden = hidden;
    }
  }
  place.replaceChildren(legend(trace), ruler(trace), h("ol", { class: "spans" }, rows.map((one) => one.element)));
}

function legend(trace) {
  return h("div", { class: "trace-legend" }, trace.services.map((service) => h("span", {}, h("i", { class: hue(service, trace.services) }), service)),
    h("span", { class: "critical-key" }, h("i", { class: "critical-line" }), "critical path"));
}

function ruler(trace) {
  const marks = [0, 0.25, 0.5, 0.75, 1].map((part) => h("span", {}, time((trace.duration * part) / 1000)));
  return h("div", { class: "ruler", "aria-hidden": "true" }, h("span", { class: "ruler-name" }, "Service and operation"), h("div", { class: "ruler-marks" }, marks));
}

function row(span, trace, critical, closed, refresh) {
  const whole = Math.max(1, trace.duration);
  const left = ((span.start - trace.start) / whole) * 1000;
  const wide = Math.max(3, (span.duration / whole) * 1000);
  const late = left + wide > 820;
  const inside = late && left < 120;
  const timeline = s("svg", { class: `timeline ${hue(span.service, trace.services)}`, viewBox: "0 0 1000 26", preserveAspectRatio: "none", "aria-hidden": "true" },
    [250, 500, 750].map((at) => s("line", { class: "mark", x1: at, x2: at, y1: 0, y2: 26 })),
    s("rect", { class: "bar", x: left, y: 7, width: wide, height: 12, rx: 2 }),
    critical.has(span) ? s("rect", { class: "critical-line", x: left, y: 21, width: wide, height: 2 }) : null);
  const label = h("span", { class: `span-time ${inside ? "inside" : late ? "late" : ""}` }, time(span.duration / 1000));
  const cell = h("span", { class: "span-line" }, timeline, label);
  label.style.setProperty("--at", `${inside ? left / 10 : late ? 100 - left / 10 : (left + wide) / 10}%`);
  const fold = span.children.length === 0 ? h("span", { class: "fold" }) : h("button", {
    class: "fold", type: "button", "aria-expanded": "true", "aria-label": "Fold the calls below",
    onclick: (event) => {
      const isClosed = closed.has(span);
      if (isClosed) closed.delete(span);
      else closed.add(span);
      event.currentTarget.setAttribute("aria-expanded", String(isClosed));
      text(event.currentTarget, isClosed ? "−" : "+");
      refresh();
    },
  }, "−");
  const detail = h("div", { class: "span-detail", hidden: true });
  const open = h("button", { class: "span-open", type: "button", "aria-expanded": "false" },
    h("i", { class: hue(span.service, trace.services) }),
    h("span", { class: "span-words" }, h("b", {}, span.service), h("small", {}, shortName(span.name))),
    h("span", { class: "span-kind" }, span.kind),
    span.failed ? h("span", { class: "badge bad" }, span.status ? String(span.status) : "error") : span.status ? h("span", { class: "badge" }, String(span.status)) : null);
  open.addEventListener("click", () => {
    if (!detail.firstChild) detail.append(details(span, trace));
    detail.hidden = !detail.hidden;
    open.setAttribute("aria-expanded", String(!detail.hidden));
  });
  const name = h("div", { class: "span-name" }, fold, open);
  name.style.setProperty("--depth", String(Math.min(span.depth, 12)));
  const element = h("li", { class: span.failed ? "failed" : "" }, h("div", { class: "span-row" }, name, cell), detail);
  return { span, element };
}

function details(span, trace) {
  const own = ownTime(span);
  const facts = [["Starts after", time((span.start - trace.start) / 1000)], ["Takes", time(span.duration / 1000)], ["Of this, itself", `${time(own / 1000)} (${share(own / Math.max(1, span.duration))})`], ["Span", span.id]];
  const flags = span.flags && span.flags !== "-" ? h("p", { class: "why" }, h("code", {}, span.flags), " ", explainFlags(span.flags), ".") : null;
  const list = (pairs) => h("dl", {}, pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
  const tags = [...span.tags].sort((a, b) => a.key.localeCompare(b.key)).map((tag) => [tag.key, tag.value]);
  const logs = span.logs.map((log) => [time((log.timestamp - trace.start) / 1000), log.fields.map((field) => `${field.key}=${field.value}`).join(" ")]);
  return h("div", {}, flags, h("div", { class: "facts-line" }, list(facts)), h("h3", {}, "Attributes"), list(tags), logs.length > 0 ? [h("h3", {}, "Events"), list(logs)] : null);
}
