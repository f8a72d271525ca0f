// The search for traces: a form kept in the address, a scatter of the results, and a list with duration bars.

import { get } from "./api.js";
import { byId, h, s, text } from "./dom.js";
import { clock, plural, time } from "./format.js";
import { empty, problem } from "./notice.js";
import { pulse } from "./pulse.js";
import { query } from "./query.js";
import { hue, readTrace, shortName } from "./tracing/model.js";
import { scatter } from "./tracing/scatter.js";

const BACK = [["300", "5 minutes"], ["900", "15 minutes"], ["1800", "30 minutes"], ["3600", "1 hour"]];
const LIMITS = [["20", "20"], ["50", "50"], ["100", "100"], ["200", "200"]];
const { state, set } = query({ service: "", operation: "", minDuration: "", lookback: "900", limit: "50", errors: "" });
const inputs = { service: byId("trace-service"), operation: byId("trace-operation"), minDuration: byId("trace-min"), lookback: byId("trace-back"), limit: byId("trace-limit") };
const errors = byId("trace-errors");
for (const [select, options, chosen] of [[inputs.lookback, BACK, state.lookback], [inputs.limit, LIMITS, state.limit]]) {
  for (const [value, label] of options) select.append(new Option(label, value, false, value === chosen));
}
inputs.minDuration.value = state.minDuration;
errors.checked = state.errors === "true";

function choices(select, names, chosen) {
  const known = chosen !== "" && !names.includes(chosen) ? [chosen, ...names] : names;
  select.replaceChildren(select.options[0], ...known.map((name) => new Option(shortName(name), name, false, name === chosen)));
  select.value = chosen;
}

async function loadServices() {
  const answer = await get("/api/tracing/services").catch(() => ({ data: [] }));
  choices(inputs.service, [...(answer.data ?? [])].sort(), state.service);
}

async function loadOperations() {
  const answer = state.service === "" ? { data: [] } : await get(`/api/tracing/services/${encodeURIComponent(state.service)}/operations`).catch(() => ({ data: [] }));
  const names = (answer.data ?? []).map((one) => (typeof one === "string" ? one : one.name ?? one.operationName ?? ""));
  choices(inputs.operation, names.filter(Boolean).sort(), state.operation);
}

function row(trace, longest, services) {
  const bar = s("svg", { class: "duration-bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "track", width: 100, height: 6, rx: 1 }), s("rect", { class: trace.errors > 0 ? "fill-bad" : "fill-accent", width: Math.max(0.6, (trace.duration / longest) * 100), height: 6, rx: 1 }));
  return h("li", {}, h("a", { class: "trace-row", href: `/traces/${encodeURIComponent(trace.id)}` },
    h("span", { class: "trace-when" }, clock(trace.start / 1e6)),
    h("span", { class: "trace-name" }, h("b", {}, shortName(trace.root.name)), h("small", {}, trace.root.service)),
    h("span", { class: "trace-services" }, trace.services.map((service) => h("i", { class: hue(service, services), title: service })), h("small", {}, plural(trace.spans.length, "span"))),
    h("span", { class: "trace-errors" }, trace.errors > 0 ? h("span", { class: "badge bad" }, plural(trace.errors, "error")) : null),
    bar, h("span", { class: "trace-duration" }, time(trace.duration / 1000))));
}

async function search() {
  pulse("waiting", "Searching");
  // The last spans of the newest traces are still on their way.
  const end = (Date.now() - 2000) * 1000;
  const parameters = {
    service: state.service, operation: state.operation, minDuration: state.minDuration, limit: state.limit,
    start: end - Number(state.lookback) * 1e6, end, tags: state.errors === "true" ? JSON.stringify({ error: "true" }) : "",
  };
  try {
    const answer = await get("/api/tracing/traces", parameters);
    show((answer.data ?? []).filter((raw) => raw.spans?.length > 0).map(readTrace));
    problem(null);
    pulse("live", "Up to date");
  } catch (error) {
    problem(error);
    pulse("lost", "No signal");
  }
}

function show(traces) {
  const place = byId("list");
  scatter(byId("scatter"), traces);
  if (traces.length === 0) {
    text(byId("summary"), "No trace fits.");
    return place.replaceChildren(empty("No trace fits", "Look back further, ask for less, or send a request: its trace is here within seconds."));
  }
  const longest = Math.max(...traces.map((trace) => trace.duration), 1);
  const services = [...new Set(traces.flatMap((trace) => trace.services))];
  const failing = traces.filter((trace) => trace.errors > 0).length;
  text(byId("summary"), `${plural(traces.length, "trace")}, ${failing} with errors, the longest ${time(longest / 1000)}.`);
  place.replaceChildren(h("ol", { class: "trace-list" }, [...traces].sort((a, b) => b.start - a.start).map((trace) => row(trace, longest, services))));
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
for (const [name, input] of Object.entries(inputs)) {
  input.addEventListener("change", () => {
    if (!input.checkValidity()) return input.reportValidity();
    set({ [name]: input.value, ...(name === "service" ? { operation: "" } : {}) });
    if (name === "service") loadOperations();
    search();
  });
}
errors.addEventListener("change", () => { set({ errors: errors.checked ? "true" : "" }); search(); });
loadServices();
loadOperations();
search();
