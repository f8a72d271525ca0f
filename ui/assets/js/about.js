// The about page: what the serving process says of itself.

import { every, get } from "./api.js";
import { byId, h } from "./dom.js";
import { count, span } from "./format.js";
import { problem } from "./notice.js";

function words(name) {
  const spaced = name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ").toLowerCase();
  const plain = spaced.replace(/ (seconds|ms)$/, "");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

function show(name, value) {
  if (typeof value === "number") return /seconds$/i.test(name) ? span(value) : count(value);
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

every(5, async (signal) => {
  const status = await get("/api/status", {}, signal);
  const lines = Object.entries(status).map(([name, value]) => h("div", {}, h("dt", {}, words(name)), h("dd", {}, show(name, value))));
  byId("status").replaceChildren(h("dl", { class: "status" }, lines));
}, problem);
