// Says on the page that something went wrong or that there is nothing to show yet, and what to do.

import { byId, h } from "./dom.js";

const place = () => byId("notice");

/** Shows an error, or clears it with `null`. What was shown before stays on the page. */
export function problem(error) {
  const box = place();
  if (!box) return;
  if (!error) return box.replaceChildren();
  box.replaceChildren(h("div", { class: "alert", role: "alert" }, h("strong", {}, "Not current. "), error.message, " Trying again."));
}

/** A friendly empty state. */
export function empty(title, ...lines) {
  return h("div", { class: "empty" }, h("h3", {}, title), ...lines.map((line) => h("p", {}, line)));
}

/** What to say when no traffic has been seen at all. */
export function quiet() {
  const code = (words) => h("code", {}, words);
  return h("div", { class: "empty" },
    h("h3", {}, "No traffic yet"),
    h("p", {}, "Orrery draws what it sees, and it has not seen a call in this window."),
    h("p", {}, "Try the sample with ", code("orrery demo"), ", or send a request through a sidecar or gateway, and it appears here within two seconds."));
}
