// What stands on an edge: the chosen signals, at most three, in at most two lines.

import { byteRate, rate, share, time } from "../format.js";

export const SIGNALS = [["rate", "Request rate"], ["errors", "Error share"], ["p50", "p50 duration"], ["p95", "p95 duration"], ["p99", "p99 duration"], ["share", "Share of the caller's requests"]];

/** Lines of [{text, tone}]; empty when there is nothing to say. */
export function edgeLabel(edge, chosen) {
  if (edge.isIdle) return [];
  const first = [];
  const second = [];
  if (edge.isTcp) {
    if (chosen.has("rate")) first.push({ text: byteRate(edge.bps), tone: "tcp" });
    return first.length > 0 ? [first] : [];
  }
  if (chosen.has("rate")) first.push({ text: rate(edge.rps), tone: "" });
  if (chosen.has("share") && edge.share > 0) first.push({ text: share(edge.share), tone: "soft" });
  if (chosen.has("errors") && edge.errorShare > 0) first.push({ text: share(edge.errorShare), tone: edge.errorShare >= 0.1 ? "bad" : "warn" });
  for (const name of ["p50", "p95", "p99"]) if (chosen.has(name) && edge[name] !== null) second.push({ text: time(edge[name]), tone: "soft" });
  return [first, second.slice(0, 2)].filter((line) => line.length > 0);
}

/** One sentence for those who listen. */
export function edgeWords(edge, source, target) {
  const traffic = edge.isIdle ? "idle" : edge.isTcp ? byteRate(edge.bps) : `${rate(edge.rps)}, ${share(edge.errorShare)} errors, p95 ${time(edge.p95)}`;
  const lock = edge.mtls === null ? "" : edge.mtls >= 99.95 ? ", mutual TLS" : edge.mtls > 0 ? `, ${Math.round(edge.mtls)}% mutual TLS` : ", not encrypted by the mesh";
  return `${source} calls ${target}: ${edge.protocol}, ${traffic}${lock}`;
}
