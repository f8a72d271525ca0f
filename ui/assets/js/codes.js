// Response codes as one bar, and response flags with what they mean.

import { h, s } from "./dom.js";
import { rate, share } from "./format.js";

const MEANINGS = {
  DC: "the caller closed the connection", DI: "a delay was injected", DPE: "the caller broke the protocol", FI: "a fault was injected",
  IH: "a header was invalid", LH: "the local health check failed", LR: "reset locally", NR: "no route matched", RL: "rate limited",
  RLSE: "the rate limit service failed", SI: "the stream was idle too long", UAEX: "denied by external authorisation",
  UC: "the service closed the connection", UF: "no connection to the service (does mutual TLS fit on both sides?)", UH: "no healthy endpoint",
  UMSDR: "the stream lasted too long", UO: "overflow: the circuit breaker is open", UR: "the service reset the stream", URX: "all retries used up",
  UT: "the service took too long", NC: "the cluster is unknown", UPE: "the service broke the protocol", RBAC: "denied by policy",
};

export function codeTone(code) {
  const first = String(code)[0];
  return { 2: "ok", 3: "cool", 4: "warn", 5: "bad" }[String(code).length === 3 ? first : "x"] ?? (code === "0" ? "ok" : "bad");
}

/** What `UF,URX` says. */
export function explainFlags(flags) {
  return String(flags).split(",").map((flag) => MEANINGS[flag.trim()] ?? flag).join("; ");
}

/** `byCode` and `byFlag`: requests per second. */
export function codes(byCode, byFlag) {
  const entries = Object.entries(byCode).map(([code, value]) => [code, Number(value?.rps ?? value)]).filter(([, value]) => value > 0).sort();
  const total = entries.reduce((sum, [, value]) => sum + value, 0);
  if (total === 0) return h("p", { class: "quiet" }, "No responses in this window.");
  let left = 0;
  const pieces = entries.map(([code, value]) => {
    const wide = (value / total) * 100;
    const piece = s("rect", { x: left, y: 0, width: Math.max(0.4, wide - 0.25), height: 6, class: `fill-${codeTone(code)}` });
    left += wide;
    return piece;
  });
  const bar = s("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", class: "code-bar", "aria-hidden": "true" }, pieces);
  const rows = entries.map(([code, value]) => h("div", { class: "code" }, h("span", { class: `code-name text-${codeTone(code)}` }, code), h("span", {}, rate(value)), h("span", { class: "quiet" }, share(value / total))));
  const flags = (Array.isArray(byFlag) ? byFlag.map((one) => [one.flag ?? one.name, one.rps]) : Object.entries(byFlag)).filter(([flag, value]) => flag !== "-" && Number(value) > 0);
  return h("div", { class: "codes" }, bar, rows, flags.map(([flag, value]) => h("div", { class: "flag" }, h("code", {}, flag), h("span", {}, explainFlags(flag)), h("span", { class: "quiet" }, rate(Number(value))))));
}
