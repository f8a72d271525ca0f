// The overview page: signals of the whole mesh, namespaces as planetary systems, the slowest and the most failing.

import { every, get } from "./api.js";
import { errorShare, healthMark, lock, servicePath } from "./cells.js";
import { chart } from "./chart.js";
import { byId, h, text } from "./dom.js";
import { count, plural, rate, share, time } from "./format.js";
import { problem, quiet } from "./notice.js";
import { orbits } from "./orbits.js";
import { query, windows } from "./query.js";

const { state, set } = query({ duration: "300s" });
const charts = {
  rps: chart({ title: "Requests", note: "per second", lines: [{ key: "v", name: "requests", tone: "accent", fill: true }], format: rate, axis: count, height: 168 }),
  errors: chart({ title: "Errors", note: "per second", lines: [{ key: "v", name: "errors", tone: "bad", fill: true }], format: rate, axis: count, height: 168 }),
  p95: chart({ title: "Duration", note: "95th percentile", lines: [{ key: "v", name: "p95", tone: "cool", fill: true }], format: time, axis: time, height: 168 }),
};
byId("signals").append(...Object.values(charts).map((one) => one.element));
const systems = new Map();
/** The window of what is shown as the present; the chosen window is that of the charts and rankings. */
const NOW = "60s";

function system(namespace) {
  const orbit = orbits();
  const parts = { kind: h("dt", {}, "Services"), mark: h("span", {}), services: h("b", {}), rate: h("b", {}), errors: h("b", {}), p95: h("b", {}), lock: h("span", {}) };
  const fact = (label, value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
  const element = h("a", { class: "card system", href: `/graph?namespaces=${encodeURIComponent(namespace)}` },
    orbit.element,
    h("div", { class: "system-text" },
      h("div", { class: "system-head" }, h("h3", {}, namespace), parts.lock), parts.mark,
      h("dl", {}, h("div", {}, parts.kind, h("dd", {}, parts.services)), fact("Requests", parts.rate), fact("Errors", parts.errors), fact("p95", parts.p95))));
  return { element, orbit, parts };
}

function drawSystems(namespaces, services) {
  const place = byId("systems");
  const names = new Set(namespaces.map((one) => one.name));
  for (const [name, one] of systems) if (!names.has(name)) { one.element.remove(); systems.delete(name); }
  if (namespaces.length === 0) return place.replaceChildren(quiet());
  if (systems.size === 0) place.replaceChildren();
  for (const namespace of namespaces) {
    let one = systems.get(namespace.name);
    if (!one) {
      one = system(namespace.name);
      systems.set(namespace.name, one);
      place.append(one.element);
    }
    const isCaller = !(namespace.services > 0) && namespace.workloads > 0;
    text(one.parts.kind, isCaller ? "Workloads" : "Services");
    text(one.parts.services, count(isCaller ? namespace.workloads : namespace.services));
    text(one.parts.rate, rate(namespace.rps));
    text(one.parts.errors, share(namespace.errorRate));
    text(one.parts.p95, time(namespace.p95));
    one.parts.mark.replaceChildren(isCaller ? h("span", { class: "quiet" }, "Only calls others") : healthMark(namespace.health));
    one.parts.lock.replaceChildren(...(isCaller ? [] : [lock(namespace.mtls)]));
    one.orbit.set(services.filter((service) => service.namespace === namespace.name), namespace.health);
  }
}

function rank(list, entries, value, shown) {
  const most = Math.max(...entries.map(value), 1e-9);
  const lines = entries.filter((entry) => value(entry) > 0).map((entry) => {
    const meter = h("meter", { min: 0, max: most, value: value(entry), "aria-hidden": "true" });
    return h("li", {}, h("a", { href: servicePath(entry.namespace, entry.name) }, h("span", { class: "name" }, entry.name), h("small", {}, entry.namespace)), meter, h("span", { class: "value" }, shown(entry)));
  });
  list.replaceChildren(...(lines.length > 0 ? lines : [h("li", { class: "none" }, "None in this window.")]));
}

function summary(data) {
  const { namespaces, totals = {} } = data;
  if (namespaces.length === 0) return "Waiting for the first signals.";
  const services = totals.services ?? namespaces.reduce((sum, one) => sum + (one.services ?? 0), 0);
  const sick = namespaces.filter((one) => one.health === "Failure" || one.health === "Degraded").length;
  const words = `${plural(services, "service")} in ${plural(namespaces.length, "namespace")}, ${rate(totals.rps).replace("/s", "")} requests a second`;
  return sick === 0 ? `${words}. All is well.` : `${words}. ${plural(sick, "namespace")} ${sick === 1 ? "needs" : "need"} a look.`;
}

async function load(signal) {
  const [now, data, services] = await Promise.all([get("/api/overview", { duration: NOW }, signal), get("/api/overview", { duration: state.duration }, signal), get("/api/services", { duration: NOW }, signal)]);
  now.namespaces ??= [];
  text(byId("summary"), summary(now));
  for (const [name, one] of Object.entries(charts)) one.set({ v: data.series?.[name] ?? [] });
  drawSystems(now.namespaces, Array.isArray(services) ? services : services.services ?? []);
  rank(byId("top-latency"), data.topLatency ?? [], (entry) => entry.p95 ?? 0, (entry) => time(entry.p95));
  rank(byId("top-errors"), data.topErrors ?? [], (entry) => entry.errorRate ?? 0, (entry) => errorShare(entry.errorRate));
}

const loop = every(2, load, problem);
windows(byId("duration"), state.duration, (duration) => { set({ duration }); loop.now(); });
