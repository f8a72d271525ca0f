// The side panel: all that is known of the chosen node or edge, kept current.

import { errorShare, lock, servicePath } from "../cells.js";
import { codes, explainFlags } from "../codes.js";
import { h } from "../dom.js";
import { byteRate, rate, share, time } from "../format.js";
import { sparkline } from "../sparkline.js";

export function panel(place, { select, close }) {
  let shown = "";
  let course = null;
  let body = null;

  function build(one, id) {
    shown = id;
    course = { rps: sparkline({ width: 300, height: 46, tone: one.isTcp ? "cool" : "accent", label: "Rate" }), errors: sparkline({ width: 300, height: 28, tone: "bad", label: "Errors" }) };
    body = h("div", { class: "panel-body" });
    const shut = h("button", { type: "button", class: "icon-button panel-close", "aria-label": "Close details", onclick: close }, "×");
    place.replaceChildren(shut, body);
  }

  return {
    show(model, id, history) {
      const one = model.nodes.get(id) ?? model.edges.get(id);
      place.hidden = !one;
      if (!one) { shown = ""; return; }
      if (shown !== id) build(one, id);
      course.rps.set(history.rps);
      course.errors.set(history.errors);
      const focused = document.activeElement?.dataset?.select;
      body.replaceChildren(...(one.kind === "edge" ? edgeParts(one, model, course, select) : nodeParts(one, model, course, select)));
      if (focused && !body.contains(document.activeElement)) body.querySelector(`[data-select="${CSS.escape(focused)}"]`)?.focus();
    },
    hide() { shown = ""; place.hidden = true; },
  };
}

const fact = (name, value) => h("div", { class: "fact" }, h("span", {}, name), h("b", {}, value));

function lines(one, course) {
  const now = one.isTcp ? byteRate(one.bps) : rate(one.rps);
  return h("section", { class: "course" }, h("div", {}, h("span", {}, one.isTcp ? "Bytes" : "Requests"), h("b", {}, now)), course.rps.element,
    one.isTcp ? null : h("div", {}, h("span", {}, "Errors"), h("b", {}, errorShare(one.errorShare))), one.isTcp ? null : course.errors.element);
}

function durations(one) {
  return h("section", { class: "facts three" }, fact("p50", time(one.p50)), fact("p95", time(one.p95)), fact("p99", time(one.p99)));
}

const nameOf = (node) => [node.title, node.version].filter(Boolean).join(" ");

function serviceOf(node, model) {
  if (node.kind === "service") return { namespace: node.namespace, name: node.service };
  const called = node.called[0];
  if (called) return { namespace: called.namespace, name: called.name };
  const source = node.in.map((id) => model.nodes.get(model.edges.get(id).source)).find((other) => other.kind === "service");
  if (source) return { namespace: source.namespace, name: source.service };
  return null;
}

function nodeParts(node, model, course, select) {
  const service = serviceOf(node, model);
  const traced = node.app || node.service;
  const links = [service ? h("a", { class: "button", href: servicePath(service.namespace, service.name), data: { select: "link-service" } }, "Service detail") : null,
    traced ? h("a", { class: "button", href: `/traces?service=${encodeURIComponent(`${traced}.${node.namespace}`)}`, data: { select: "link-traces" } }, "Traces") : null];
  return [
    h("header", {}, h("p", { class: "eyebrow" }, `${node.kind} · ${node.namespace}`), h("h2", {}, node.title, node.version ? h("span", { class: "tag" }, node.version) : null), node.workload ? h("p", { class: "quiet mono" }, node.workload) : null),
    lines(node, course), node.p95 === null ? null : durations(node),
    edgeList("Called by", node.in, "source", model, select), edgeList("Calls", node.out, "target", model, select),
    h("nav", { class: "panel-links", "aria-label": "More" }, links),
  ].filter(Boolean);
}

function edgeList(title, ids, end, model, select) {
  if (ids.length === 0) return null;
  const edges = ids.map((id) => model.edges.get(id)).sort((a, b) => b.rps - a.rps || a.id.localeCompare(b.id));
  return h("section", {}, h("h3", {}, title), h("ul", { class: "peers" }, edges.map((edge) => h("li", {}, h("button", { type: "button", data: { select: edge.id }, onclick: () => select(edge.id) },
    h("i", { class: `dot ${edge.tone}`, "aria-hidden": "true" }), h("span", { class: "name" }, nameOf(model.nodes.get(edge[end]))),
    h("span", {}, edge.isTcp ? byteRate(edge.bps) : rate(edge.rps)), edge.isTcp ? h("span", {}) : errorShare(edge.errorShare))))));
}

function edgeParts(edge, model, course, select) {
  const [source, target] = [model.nodes.get(edge.source), model.nodes.get(edge.target)];
  const end = (node) => h("button", { type: "button", class: "end", data: { select: node.id }, onclick: () => select(node.id) }, nameOf(node));
  return [
    h("header", {}, h("p", { class: "eyebrow" }, `${{ http: "HTTP", grpc: "gRPC", tcp: "TCP" }[edge.protocol] ?? edge.protocol} call`), h("h2", { class: "ends" }, end(source), h("span", { "aria-label": "to" }, "→"), end(target))),
    lines(edge, course), edge.isTcp ? null : durations(edge),
    edge.share > 0 ? h("p", { class: "quiet" }, `${share(edge.share)} of what ${nameOf(source)} sends.`) : null,
    security(edge), responses(edge),
    h("nav", { class: "panel-links", "aria-label": "More" }, h("a", { class: "button", href: tracesOf(source, edge), data: { select: "link-traces" } }, edge.errorShare > 0 ? "Failed traces" : "Traces")),
  ].filter(Boolean);
}

function tracesOf(source, edge) {
  const service = `${source.app || source.service}.${source.namespace}`;
  return `/traces?service=${encodeURIComponent(service)}${edge.errorShare > 0 ? "&errors=true" : ""}`;
}

function security(edge) {
  const state = edge.mtls === null ? "Not known" : edge.mtls >= 99.95 ? "Every call over mutual TLS" : edge.mtls > 0 ? `${Math.round(edge.mtls)}% over mutual TLS` : "Not encrypted by the mesh";
  const principal = (name, value) => (value && value !== "unknown" ? h("div", {}, h("dt", {}, name), h("dd", { class: "mono" }, value)) : null);
  return h("section", {}, h("h3", {}, "Security"), h("p", { class: "secure" }, lock(edge.mtls), h("span", {}, state)), h("dl", { class: "principals" }, principal("From", edge.from), principal("To", edge.to)));
}

function responses(edge) {
  if (edge.isTcp) return flagsOnly(edge);
  const byCode = {};
  const byFlag = {};
  const hosts = new Set();
  for (const [code, detail] of Object.entries(edge.responses)) {
    for (const [flag, percent] of Object.entries(detail.flags ?? {})) {
      const part = (Number.parseFloat(percent) / 100) * edge.windowRps;
      byCode[code] = (byCode[code] ?? 0) + part;
      if (flag !== "-") byFlag[flag] = (byFlag[flag] ?? 0) + part;
    }
    for (const host of Object.keys(detail.hosts ?? {})) hosts.add(host);
  }
  return h("section", {}, h("h3", {}, "Responses"), codes(byCode, byFlag), [...hosts].map((host) => h("p", { class: "quiet mono host" }, host)));
}

function flagsOnly(edge) {
  const flags = Object.values(edge.responses).flatMap((detail) => Object.keys(detail.flags ?? {})).filter((flag) => flag !== "-");
  return flags.length === 0 ? null : h("section", {}, h("h3", {}, "Flags"), flags.map((flag) => h("p", {}, h("code", {}, flag), " ", explainFlags(flag))));
}
