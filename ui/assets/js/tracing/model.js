// Jaeger's JSON as a tree of spans with what the pages need. Times are microseconds, as there.

const value = (span, ...keys) => {
  for (const key of keys) {
    const tag = span.tags?.find((one) => one.key === key);
    if (tag !== undefined) return tag.value;
  }
  return undefined;
};

/** Status code of an HTTP span, or undefined. */
export const statusOf = (span) => {
  const status = Number(value(span, "http.status_code", "http.response.status_code"));
  return Number.isFinite(status) && status > 0 ? status : undefined;
};

export function isFailed(span) {
  const error = value(span, "error");
  return error === true || error === "true" || value(span, "otel.status_code") === "ERROR" || (statusOf(span) ?? 0) >= 500;
}

/**
 * One trace: {id, start, duration, spans, root, services, errors}. Spans are in the order of a walk through the tree, each
 * {id, service, name, start, duration, depth, kind, failed, status, tags, logs, children, parent}.
 */
export function readTrace(raw) {
  const byId = new Map();
  for (const span of raw.spans ?? []) {
    byId.set(span.spanID, {
      id: span.spanID, name: span.operationName ?? "", start: span.startTime, duration: span.duration, depth: 0,
      service: raw.processes?.[span.processID]?.serviceName ?? span.process?.serviceName ?? "unknown",
      kind: value(span, "span.kind") ?? "", failed: isFailed(span), status: statusOf(span), tags: span.tags ?? [], logs: span.logs ?? [],
      children: [], parent: null, flags: value(span, "response_flags"),
      reference: span.references?.find((one) => one.refType === "CHILD_OF")?.spanID ?? span.references?.[0]?.spanID,
    });
  }
  const roots = [];
  for (const span of byId.values()) {
    const parent = byId.get(span.reference);
    if (parent && parent !== span) {
      span.parent = parent;
      parent.children.push(span);
    } else roots.push(span);
  }
  const spans = [];
  const seen = new Set();
  const walk = (list, depth) => {
    for (const span of list.sort((a, b) => a.start - b.start)) {
      if (seen.has(span)) continue;
      seen.add(span);
      span.depth = depth;
      spans.push(span);
      walk(span.children, depth + 1);
    }
  };
  walk(roots, 0);
  const start = Math.min(...spans.map((span) => span.start));
  const end = Math.max(...spans.map((span) => span.start + span.duration));
  return { id: raw.traceID, start, duration: Math.max(0, end - start), spans, root: spans[0], services: [...new Set(spans.map((span) => span.service))], errors: spans.filter((span) => span.failed).length };
}

/** Time of a span in which none of its children ran. */
export function ownTime(span) {
  let own = span.duration;
  let until = span.start;
  for (const child of [...span.children].sort((a, b) => a.start - b.start)) {
    const from = Math.max(child.start, until);
    const to = Math.min(child.start + child.duration, span.start + span.duration);
    if (to > from) {
      own -= to - from;
      until = to;
    }
  }
  return Math.max(0, own);
}

/** The spans that the end of the trace waited for. */
export function criticalPath(trace) {
  const path = new Set();
  let span = trace.root;
  while (span && !path.has(span)) {
    path.add(span);
    span = span.children.reduce((latest, child) => (!latest || child.start + child.duration > latest.start + latest.duration ? child : latest), null);
  }
  return path;
}

/** A colour class for a service: the same name gives the same colour in the same list of names. */
export function hue(service, services) {
  return `hue-${[...services].sort().indexOf(service) % 8}`;
}

/** `reviews.default.svc.cluster.local:9080/*` without what all of them share. */
export function shortName(name) {
  return name.replace(".svc.cluster.local", "");
}
