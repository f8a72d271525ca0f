// One service: its signals over time, who calls it, whom it calls, its versions and its response codes.

import { every, get } from "./api.js";
import { errorShare, healthMark, lock, serviceLink } from "./cells.js";
import { chart } from "./chart.js";
import { codes } from "./codes.js";
import { byId, h, text } from "./dom.js";
import { byteRate, bytes, count, rate, share, time } from "./format.js";
import { problem } from "./notice.js";
import { query, windows } from "./query.js";
import { table } from "./table.js";

const { namespace, name } = byId("service").dataset;
const base = `/api/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}`;
const { state, set } = query({ duration: "600s", reporter: "destination" });

const charts = [
  chart({ title: "Requests", note: "per second", lines: [{ key: "rps", name: "requests", tone: "accent", fill: true }], format: rate, axis: count }),
  chart({ title: "Errors", note: "per second", lines: [{ key: "errorRps", name: "errors", tone: "bad", fill: true }], format: rate, axis: count }),
  chart({ title: "Duration", lines: [{ key: "p50", name: "p50", tone: "cool" }, { key: "p95", name: "p95", tone: "violet" }, { key: "p99", name: "p99", tone: "accent" }], format: time, axis: time }),
  chart({ title: "Sizes", note: "sum per second", lines: [{ key: "requestBytes", name: "requests", tone: "cool" }, { key: "responseBytes", name: "responses", tone: "violet" }], format: byteRate, axis: bytes }),
];
byId("charts").append(...charts.map((one) => one.element));

const signals = [
  { title: "Requests", number: true, start: "down", value: (row) => row.rps, cell: (row) => rate(row.rps) },
  { title: "Errors", number: true, value: (row) => row.errorRate, cell: (row) => errorShare(row.errorRate) },
  { title: "p95", number: true, value: (row) => row.p95, cell: (row) => time(row.p95) },
];
const secured = { title: "mTLS", number: true, value: (row) => row.mtls, cell: (row) => lock(row.mtls) };
const peer = (row) => row.workload ?? row.app ?? "unknown";
const callee = (row) => row.name ?? row.service ?? "unknown";
const key = (row) => [row.namespace, row.name ?? row.service, row.workload, row.version].join("/");
const place = (row) => h("span", { class: "peer" }, h("span", { class: "name" }, peer(row)), h("small", {}, row.namespace ?? ""));
const called = (row) => h("span", { class: "peer" }, serviceLink(row.namespace ?? namespace, callee(row)), h("small", {}, row.workload ? `from ${row.workload}` : row.namespace ?? ""));
const tables = {
  inbound: table({ label: "Called by", key, none: "Nobody called it in this window.", columns: [{ title: "Workload", value: peer, cell: place }, ...signals, secured] }),
  outbound: table({ label: "Calls", key, none: "It called nobody in this window.", columns: [{ title: "Service", value: callee, cell: called }, ...signals, secured] }),
  workloads: table({ label: "Versions", key, none: "No version answered in this window.", columns: [{ title: "Workload", value: peer, cell: place }, { title: "Version", value: (row) => row.version, cell: (row) => h("span", { class: "tag" }, row.version ?? "–") }, ...signals] }),
};
for (const [id, one] of Object.entries(tables)) byId(id).append(one.element);

const facts = new Map();
function fact(label, value) {
  let box = facts.get(label);
  if (!box) {
    box = h("div", { class: "fact" }, h("span", {}, label), h("b", {}));
    facts.set(label, box);
    byId("facts").append(box);
  }
  if (typeof value === "string") text(box.lastElementChild, value);
  else if (!box.lastElementChild.firstElementChild?.isEqualNode(value)) box.lastElementChild.replaceChildren(value);
}

async function loadNow(signal) {
  const data = await get(base, { duration: "60s" }, signal);
  byId("health").replaceChildren(healthMark(data.health));
  text(byId("summary"), data.host ?? `${name}.${namespace}`);
  fact("Requests", rate(data.rps));
  fact("Errors", errorShare(data.errorRate));
  fact("p50", time(data.p50));
  fact("p95", time(data.p95));
  fact("p99", time(data.p99));
  fact("Mutual TLS", data.mtls === null || data.mtls === undefined ? "–" : share(data.mtls / 100));
  for (const [id, one] of Object.entries(tables)) one.set(data[id] ?? []);
  byId("codes").replaceChildren(codes(data.codes ?? {}, data.flags ?? {}));
}

async function loadSeries(signal) {
  const seconds = Number.parseInt(state.duration, 10) || 600;
  const step = `${Math.max(1, Math.round(seconds / 120))}s`;
  const data = await get(`${base}/series`, { duration: state.duration, step, reporter: state.reporter }, signal);
  for (const one of charts) one.set(data);
}

const loop = every(2, (signal) => Promise.all([loadNow(signal), loadSeries(signal)]), problem);
windows(byId("duration"), state.duration, (duration) => { set({ duration }); loop.now(); });
const reporter = byId("reporter");
reporter.value = state.reporter;
reporter.addEventListener("change", () => { set({ reporter: reporter.value }); loop.now(); });
const links = h("p", { class: "jump" }, h("a", { class: "button", href: `/graph?namespaces=${encodeURIComponent(namespace)}&find=${encodeURIComponent(name)}` }, "Show on the graph"), h("a", { class: "button", href: `/traces?service=${encodeURIComponent(`${name}.${namespace}`)}` }, "Traces"));
byId("summary").after(links);
