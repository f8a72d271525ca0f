// The bar above the graph: what is shown. Everything is kept in the address.

import { get } from "../api.js";
import { h } from "../dom.js";
import { windows } from "../query.js";
import { SIGNALS } from "./labels.js";

const TYPES = [["versionedApp", "Versioned app"], ["app", "App"], ["workload", "Workload"], ["service", "Service"]];
const DISPLAY = [["services", "Service nodes"], ["motion", "Moving traffic"], ["locks", "Security locks"], ["idle", "Idle calls"], ["live", "Rates of right now"]];

export const DEFAULTS = { namespaces: "all", graphType: "versionedApp", duration: "60s", labels: "rate,errors,p95", display: "services,motion,locks,live", find: "", selected: "" };

const listed = (words) => new Set(words.split(",").filter(Boolean));

/** `changed(names of what changed)`, `paused(now)`. */
export function bar(place, { state, set }, changed, paused) {
  const type = h("select", { "aria-label": "Graph type" }, TYPES.map(([value, label]) => new Option(label, value, false, value === state.graphType)));
  type.addEventListener("change", () => { set({ graphType: type.value }); changed("graphType"); });
  const duration = h("select", { "aria-label": "Window" });
  windows(duration, state.duration, (value) => { set({ duration: value }); changed("duration"); });
  const search = h("input", { type: "search", class: "search", placeholder: "Find: reviews, errors>1, !mtls", "aria-label": "Find on the graph", value: state.find, autocomplete: "off", spellcheck: "false" });
  search.addEventListener("input", () => { set({ find: search.value }); changed("find"); });
  const found = h("output", { class: "found" });
  const pause = h("button", { type: "button", class: "button", "aria-pressed": "false" }, "Pause");
  const toggle = () => {
    const now = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(now));
    pause.textContent = now ? "Resume" : "Pause";
    paused(now);
  };
  pause.addEventListener("click", toggle);
  place.addEventListener("submit", (event) => event.preventDefault());
  place.append(namespaceMenu(state, set, changed), type, duration, checkMenu("Labels", SIGNALS, "labels", state, set, changed), checkMenu("Display", DISPLAY, "display", state, set, changed), h("span", { class: "find-box" }, search, found), pause);
  return { toggle, focusSearch: () => search.focus(), found: (number) => { found.textContent = number === null ? "" : String(number); } };
}

function menu(label, content) {
  const summary = h("summary", { class: "button" }, label);
  const element = h("details", { class: "menu" }, summary, h("div", { class: "menu-body" }, content));
  document.addEventListener("pointerdown", (event) => { if (!element.contains(event.target)) element.open = false; });
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !element.open) return;
    event.stopPropagation();
    element.open = false;
    summary.focus();
  });
  return { element, summary };
}

function checkMenu(label, options, name, state, set, changed) {
  const chosen = listed(state[name]);
  const checks = options.map(([value, words]) => {
    const input = h("input", { type: "checkbox", checked: chosen.has(value) });
    input.addEventListener("change", () => {
      if (input.checked) chosen.add(value);
      else chosen.delete(value);
      set({ [name]: options.map(([one]) => one).filter((one) => chosen.has(one)).join(",") });
      changed(name, value);
    });
    return h("label", { class: "check" }, input, words);
  });
  return menu(label, checks).element;
}

function namespaceMenu(state, set, changed) {
  const list = h("div", {}, h("p", { class: "quiet" }, "Looking…"));
  const { element, summary } = menu("", list);
  const caption = () => {
    const chosen = state.namespaces === "all" ? [] : [...listed(state.namespaces)];
    summary.textContent = chosen.length === 0 ? "All namespaces" : chosen.length === 1 ? chosen[0] : `${chosen.length} namespaces`;
  };
  const choose = (value) => { set({ namespaces: value }); caption(); changed("namespaces"); };
  element.addEventListener("toggle", async () => {
    if (!element.open) return;
    let names = [];
    try {
      names = ((await get("/api/overview", { duration: "3600s" })).namespaces ?? []).map((one) => one.name);
    } catch {
      names = [];
    }
    const chosen = state.namespaces === "all" ? new Set() : listed(state.namespaces);
    const all = h("input", { type: "checkbox", checked: chosen.size === 0 });
    const boxes = [...new Set([...names, ...chosen])].sort().map((name) => [name, h("input", { type: "checkbox", checked: chosen.has(name) })]);
    all.addEventListener("change", () => { for (const [, box] of boxes) box.checked = false; all.checked = true; choose("all"); });
    for (const [name, box] of boxes) {
      box.addEventListener("change", () => {
        if (box.checked) chosen.add(name);
        else chosen.delete(name);
        all.checked = chosen.size === 0;
        choose(chosen.size === 0 ? "all" : [...chosen].sort().join(","));
      });
    }
    list.replaceChildren(h("label", { class: "check" }, all, "All namespaces"), ...boxes.map(([name, box]) => h("label", { class: "check" }, box, name)));
  });
  caption();
  return element;
}
