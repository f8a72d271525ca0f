// The graph page: the stream feeds the model, the model feeds the drawing, the particles and the panel.

import { byId, h, text } from "../dom.js";
import { clock, rate, share } from "../format.js";
import { isCalm } from "../motion.js";
import { quiet } from "../notice.js";
import { pulse } from "../pulse.js";
import { query } from "../query.js";
import { DEFAULTS, bar } from "./bar.js";
import { drawing } from "./drawing.js";
import { find } from "./find.js";
import { history } from "./history.js";
import { legend } from "./legend.js";
import { reach, readFrame } from "./model.js";
import { panel } from "./panel.js";
import { particles } from "./particles.js";
import { graphStream } from "./stream.js";
import { viewport } from "./viewport.js";

const { state, set } = query(DEFAULTS);
const has = (name, option) => state[name].split(",").includes(option);
/** What is not known to flow does not move. */
const moves = () => has("display", "motion") && !isCalm() && (flow === "live" || flow === "waiting");
/** In such a window calls run down: from left to right they would be too small to read. */
const isNarrow = matchMedia("(max-width: 1100px), (max-aspect-ratio: 5/4)");
const past = history();
let frame = null;
let model = null;
let pointed = null;
let flow = "waiting";

const canvas = particles(byId("particles"));
const view = viewport(byId("stage"), (now) => { picture.view(now); canvas.view(now); });
const picture = drawing(byId("backdrop"), byId("drawing"), { select: choose, hover: (id) => { pointed = id; light(); } });
const side = panel(byId("panel"), { select: choose, close: () => choose("") });
const tools = bar(byId("bar"), { state, set }, changed, (now) => stream.pause(now));
const stream = graphStream(received, told);

function received(next) {
  frame = next;
  refresh(true);
}

function refresh(isNew = false) {
  if (!frame) return;
  model = readFrame(frame, has("display", "live"));
  const seconds = frame.timestamp > 1e11 ? frame.timestamp / 1000 : frame.timestamp;
  if (isNew) past.add(seconds, model);
  const layout = frame.layout ?? { width: 0, height: 0, nodes: {}, edges: {} };
  byId("vacant").hidden = model.nodes.size > 0;
  if (model.nodes.size === 0 && !byId("vacant").firstChild) byId("vacant").append(quiet());
  picture.draw(model, layout, { labels: new Set(state.labels.split(",")), locks: has("display", "locks") });
  view.resize(layout.width, layout.height);
  const failing = model.total.rps > 0 ? ` · ${share(model.total.errorRps / model.total.rps)} errors` : "";
  text(byId("clock"), `${clock(seconds)} · ${rate(model.total.rps)}${failing}`);
  light();
  const isFirst = byId("panel").hidden;
  if (state.selected) side.show(model, state.selected, past.of(state.selected));
  if (state.selected && isFirst && !byId("panel").hidden) reveal(state.selected);
}

function light() {
  if (!model) return;
  const found = find(model, state.find);
  tools.found(found?.size ?? null);
  const lit = pointed && (model.nodes.has(pointed) || model.edges.has(pointed)) ? reach(model, pointed) : found;
  picture.light(lit, state.selected);
  const edges = [...model.edges.values()].filter((edge) => picture.path(edge.id));
  canvas.set(edges.map((edge) => ({ ...edge, path: picture.path(edge.id), isDim: lit !== null && !lit.has(edge.id) })));
}

function choose(id) {
  if (view.wasDragged() && id !== "") return;
  set({ selected: id });
  if (id === "" || !model) side.hide();
  else {
    side.show(model, id, past.of(id));
    reveal(id);
  }
  light();
}

/** Moves what is chosen out from under the panel, where the panel lies over the stage. */
function reveal(id) {
  const route = frame.layout?.edges?.[id];
  const at = frame.layout?.nodes?.[id] ?? (route && { x: route.labelX, y: route.labelY });
  const [stage, covering] = [byId("stage").getBoundingClientRect(), byId("panel").getBoundingClientRect()];
  if (at) view.reveal(at, Math.min(stage.width, covering.left - stage.left));
}

function parameters() {
  return { namespaces: state.namespaces, graphType: state.graphType, duration: state.duration, injectServiceNodes: has("display", "services"), includeIdleEdges: has("display", "idle"), flow: isNarrow.matches ? "down" : "right" };
}

function changed(name, option) {
  if (name === "find") return light();
  if (name === "labels") return refresh();
  if (name === "display" && option === "motion") return canvas.show(moves());
  if (name === "display" && (option === "locks" || option === "live")) return refresh();
  if (name === "namespaces" || name === "graphType") past.clear();
  stream.open(parameters());
}

function told(now, when) {
  const words = { waiting: "Connecting", live: "Live", lost: "No signal", paused: "Paused" };
  pulse(now, words[now]);
  if (now !== flow) {
    flow = now;
    canvas.show(moves());
  }
  const banner = byId("banner");
  banner.hidden = now !== "lost";
  byId("sky").dataset.stream = now;
  if (now === "lost") text(banner, when ? `Connection lost. The graph is from ${clock(when / 1000)}. Reconnecting…` : "The telemetry service does not answer. Trying again…");
}

function colours() {
  const probe = h("i", { class: "unseen" });
  document.body.append(probe);
  const read = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
  canvas.colours({ ok: read("ok-bright"), warn: read("warn"), bad: read("bad"), tcp: read("tcp"), idle: read("idle") });
  probe.remove();
}

function key(event) {
  const target = event.target instanceof Element ? event.target : document.body;
  if (target.closest("input, select, textarea, summary") || event.ctrlKey || event.metaKey || event.altKey) return;
  const isButton = target.closest("button, a, [role=button]");
  const actions = { "+": () => view.zoom(1.2), "=": () => view.zoom(1.2), "-": () => view.zoom(1 / 1.2), 0: () => view.fit(), "/": () => tools.focusSearch(), Escape: () => choose("") };
  if (target.closest("#stage")) Object.assign(actions, { ArrowLeft: () => view.pan(60, 0), ArrowRight: () => view.pan(-60, 0), ArrowUp: () => view.pan(0, 60), ArrowDown: () => view.pan(0, -60) });
  if (!isButton || isButton.closest("#stage svg")) actions[" "] = () => tools.toggle();
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

byId("zoom").append(...[["+", "Zoom in", () => view.zoom(1.25)], ["−", "Zoom out", () => view.zoom(0.8)], ["⤢", "Fit", () => view.fit()]].map(([sign, label, act]) => h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick: act }, sign)));
byId("legend").append(legend());
byId("stage").addEventListener("click", (event) => { if (event.target.id === "drawing" && !view.wasDragged()) choose(""); });
document.addEventListener("keydown", key);
isNarrow.addEventListener("change", () => stream.open(parameters()));
addEventListener("themechange", colours);
addEventListener("motionchange", () => canvas.show(moves()));
colours();
canvas.show(moves());
stream.open(parameters());
