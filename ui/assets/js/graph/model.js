// Kiali's graph JSON, and Orrery's additions, as flat nodes and edges with numbers. Knows nothing of drawing.

const number = (value) => {
  const parsed = Number.parseFloat(value);
  return Number.isFinite(parsed) ? parsed : 0;
};
const known = (name) => typeof name === "string" && name !== "" && name !== "unknown";
const TONES = { Healthy: "ok", Degraded: "warn", Failure: "bad" };

/** {nodes: Map, edges: Map, boxes: Map, total: {rps, errorRps}} of one frame; `live` chooses rates of now, not of the window. */
export function readFrame(frame, live) {
  const nodes = new Map();
  const boxes = new Map();
  for (const { data } of frame.elements?.nodes ?? []) {
    if (data.isBox) boxes.set(data.id, { id: data.id, title: data.app || data.namespace || data.cluster || "", namespace: data.namespace ?? "", members: [], kind: "box" });
    else nodes.set(data.id, readNode(data, live));
  }
  for (const node of nodes.values()) boxes.get(node.parent)?.members.push(node.id);
  const edges = new Map();
  for (const { data } of frame.elements?.edges ?? []) {
    if (nodes.has(data.source) && nodes.has(data.target)) edges.set(data.id, readEdge(data, live));
  }
  for (const edge of edges.values()) {
    nodes.get(edge.source).out.push(edge.id);
    nodes.get(edge.target).in.push(edge.id);
  }
  const total = { rps: 0, errorRps: 0, encrypted: null };
  const entries = [...edges.values()].filter((edge) => nodes.get(edge.target).kind !== "service" || nodes.get(edge.target).out.length === 0);
  for (const edge of entries) {
    total.rps += edge.rps;
    total.errorRps += edge.errorRps;
  }
  return { nodes, boxes, edges, total };
}

function readNode(data, live) {
  const traffic = (data.traffic ?? []).map((one) => one.rates ?? {});
  const sum = (...names) => traffic.reduce((all, rates) => all + names.reduce((some, name) => some + number(rates[name]), 0), 0);
  const isLive = live && data.orrery?.live;
  const inbound = sum("httpIn", "grpcIn");
  const rps = isLive ? data.orrery.live.rps : data.isRoot ? sum("httpOut", "grpcOut") : inbound;
  const errorRps = isLive ? data.orrery.live.errorRps : sum("httpIn5xx", "httpInNoResponse", "grpcInErr", "grpcInNoResponse");
  const kind = data.nodeType === "service" || data.nodeType === "serviceentry" ? "service" : data.isGateway ? "gateway" : data.nodeType === "unknown" ? "unknown" : "workload";
  const version = known(data.version) && data.version !== "latest" ? data.version : "";
  const title = kind === "service" ? data.service : known(data.app) ? data.app : known(data.workload) ? data.workload : "unknown";
  return {
    id: data.id, parent: data.parent ?? "", kind, title, version, namespace: data.namespace ?? "", workload: known(data.workload) ? data.workload : "",
    app: known(data.app) ? data.app : "", service: data.service ?? "", called: data.destServices ?? [], cluster: data.cluster ?? "",
    rps, errorRps, bps: isLive ? data.orrery.live.bps ?? 0 : sum("tcpIn", "tcpOut"), errorShare: rps > 0 ? errorRps / rps : 0,
    p50: data.orrery?.p50 ?? null, p95: data.orrery?.p95 ?? null, p99: data.orrery?.p99 ?? null, lastSeen: data.orrery?.lastSeen ?? null,
    tone: toneOf(data.orrery?.health ?? data.healthData?.status?.status, rps), isIdle: Boolean(data.isIdle), isOutside: Boolean(data.isOutside), isRoot: Boolean(data.isRoot),
    badges: Object.keys(data).filter((name) => /^has[A-Z]/.test(name) && data[name] === true), in: [], out: [],
  };
}

function readEdge(data, live) {
  const { protocol = "http", rates = {}, responses = {} } = data.traffic ?? {};
  const isLive = live && data.orrery?.live;
  const windowRps = protocol === "tcp" ? 0 : number(rates[protocol]);
  const windowErrors = protocol === "grpc" ? number(rates.grpcErr) + number(rates.grpcNoResponse) : number(rates.http5xx) + number(rates.httpNoResponse);
  const rps = isLive ? data.orrery.live.rps : windowRps;
  const errorRps = isLive ? data.orrery.live.errorRps : windowErrors;
  const bps = isLive ? data.orrery.live.bps ?? 0 : number(rates.tcp);
  const isTcp = protocol === "tcp";
  const isIdle = isTcp ? bps <= 0 : rps <= 0;
  return {
    id: data.id, source: data.source, target: data.target, protocol, kind: "edge", rps, errorRps, bps, isIdle, isTcp, responses,
    errorShare: rps > 0 ? errorRps / rps : 0, windowRps, windowErrorShare: windowRps > 0 ? windowErrors / windowRps : 0,
    share: number(rates[`${protocol}PercentReq`]) / 100, p50: data.orrery?.p50 ?? null, p95: data.orrery?.p95 ?? (number(data.responseTime) || null), p99: data.orrery?.p99 ?? null,
    mtls: data.isMTLS ?? null, from: data.sourcePrincipal ?? "", to: data.destPrincipal ?? "", lastSeen: data.orrery?.lastSeen ?? null,
    tone: isIdle ? "idle" : isTcp ? "tcp" : toneOf(data.healthStatus ?? data.orrery?.health, rps),
  };
}

function toneOf(health, rps) {
  return TONES[health] ?? (rps > 0 ? "ok" : "idle");
}

/** Everything that leads to or from a node: for the highlight under the pointer. */
export function reach(model, id) {
  const found = new Set([id]);
  const walk = (from, edges, end) => {
    for (const edge of model.nodes.get(from)?.[edges] ?? []) {
      if (found.has(edge)) continue;
      found.add(edge);
      const next = model.edges.get(edge)[end];
      found.add(next);
      walk(next, edges, end);
    }
  };
  const edge = model.edges.get(id);
  if (edge) {
    for (const end of [edge.source, edge.target]) found.add(end);
    walk(edge.source, "in", "source");
    walk(edge.target, "out", "target");
  } else {
    for (const member of model.boxes.get(id)?.members ?? [id]) {
      found.add(member);
      walk(member, "in", "source");
      walk(member, "out", "target");
    }
  }
  return found;
}
