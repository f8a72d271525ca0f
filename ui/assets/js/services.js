// The list of services, sorted and filtered in place.

import { every, get } from "./api.js";
import { errorShare, healthMark, lock, serviceLink } from "./cells.js";
import { byId, h, text } from "./dom.js";
import { plural, rate, time } from "./format.js";
import { problem, quiet } from "./notice.js";
import { query, windows } from "./query.js";
import { table } from "./table.js";

const { state, set } = query({ duration: "60s", filter: "" });
const worst = { Failure: 3, Degraded: 2, Healthy: 1 };
const list = table({
  label: "Services",
  key: (row) => `${row.namespace}/${row.name}`,
  none: quiet(),
  limit: 1000,
  columns: [
    { title: "Service", value: (row) => row.name, cell: (row) => serviceLink(row.namespace, row.name) },
    { title: "Namespace", value: (row) => row.namespace },
    { title: "Health", value: (row) => worst[row.health] ?? 0, cell: (row) => healthMark(row.health) },
    { title: "Versions", value: (row) => (row.versions ?? []).join(" "), cell: (row) => h("span", { class: "tags" }, (row.versions ?? []).map((version) => h("span", { class: "tag" }, version))) },
    { title: "Requests", number: true, start: "down", value: (row) => row.rps, cell: (row) => rate(row.rps) },
    { title: "Errors", number: true, value: (row) => row.errorRate, cell: (row) => errorShare(row.errorRate) },
    { title: "p50", number: true, spare: true, value: (row) => row.p50, cell: (row) => time(row.p50) },
    { title: "p95", number: true, value: (row) => row.p95, cell: (row) => time(row.p95) },
    { title: "p99", number: true, spare: true, value: (row) => row.p99, cell: (row) => time(row.p99) },
    { title: "mTLS", number: true, value: (row) => row.mtls, cell: (row) => lock(row.mtls) },
  ],
});
byId("list").append(list.element);
let services = [];

function draw() {
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const match = (row) => words.every((word) => [row.name, row.namespace, row.host, ...(row.versions ?? [])].some((part) => String(part ?? "").toLowerCase().includes(word)));
  const shown = services.filter(match);
  list.set(shown);
  const all = plural(services.length, "service");
  text(byId("summary"), services.length === 0 ? "None has been called yet." : shown.length === services.length ? `${all} called in this window.` : `${shown.length} of ${all} shown.`);
}

async function load(signal) {
  const answer = await get("/api/services", { duration: state.duration }, signal);
  services = Array.isArray(answer) ? answer : answer.services ?? [];
  draw();
}

const loop = every(2, load, problem);
const filter = byId("filter");
filter.value = state.filter;
filter.addEventListener("input", () => { set({ filter: filter.value }); draw(); });
windows(byId("duration"), state.duration, (duration) => { set({ duration }); loop.now(); });
