// Small things that stand in tables and cards: health marks, error shares, locks, links to services.

import { h, s } from "./dom.js";
import { share } from "./format.js";

const WORDS = { Healthy: "Healthy", Degraded: "Degraded", Failure: "Failing", NA: "Idle", "Not Ready": "Not ready" };

/** Kiali's health word as ours: ok, warn, bad or idle. */
export function tone(health) {
  return { Healthy: "ok", Degraded: "warn", Failure: "bad" }[health] ?? "idle";
}

/** A mark with a word: never colour alone. */
export function healthMark(health) {
  return h("span", { class: `health ${tone(health)}` }, h("i", { "aria-hidden": "true" }), WORDS[health] ?? "Idle");
}

export function errorShare(ratio) {
  const class_ = !(ratio > 0) ? "quiet" : ratio >= 0.1 ? "bad" : ratio > 0.001 ? "warn" : "";
  return h("span", { class: `share ${class_}` }, share(ratio ?? 0));
}

/** `percent` of the calls that came over mutual TLS. */
export function lock(percent) {
  if (percent === null || percent === undefined) return h("span", { class: "quiet" }, "–");
  const state = percent >= 99.95 ? "full" : percent > 0 ? "part" : "none";
  const title = { full: "All calls use mutual TLS", part: `${Math.round(percent)}% of the calls use mutual TLS`, none: "No call uses mutual TLS" }[state];
  return h("span", { class: `lock ${state}`, title }, lockIcon(state !== "none"), h("span", { class: state === "part" ? "" : "unseen" }, state === "part" ? `${Math.round(percent)}%` : title));
}

export function lockIcon(closed) {
  return s("svg", { viewBox: "0 0 12 14", width: 11, height: 13, "aria-hidden": "true", class: "lock-icon" },
    s("rect", { x: 1, y: 6, width: 10, height: 7.2, rx: 1.6 }),
    s("path", { d: closed ? "M3.4 6V4a2.6 2.6 0 0 1 5.2 0v2" : "M3.4 6V3.6a2.6 2.6 0 0 1 5-1" }));
}

export const servicePath = (namespace, name) => `/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}`;

export function serviceLink(namespace, name) {
  return h("a", { class: "name", href: servicePath(namespace, name) }, name);
}
