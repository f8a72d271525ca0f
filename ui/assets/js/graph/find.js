// Finding: words in names, and comparisons such as `errors>1`, `p95>100`, `rps<5`, `!mtls`. All parts must fit.

const COMPARE = /^(rps|rate|errors|p50|p95|p99|mtls)(>=|<=|>|<|=)([\d.]+)$/;

function test(part) {
  const negated = part.startsWith("!") && part.length > 1;
  const word = negated ? part.slice(1) : part;
  const compare = COMPARE.exec(word);
  const fits = compare ? comparison(...compare.slice(1)) : word === "mtls" ? (one) => one.mtls >= 99.95 : named(word);
  return negated ? (one) => !fits(one) : fits;
}

function comparison(name, sign, limit) {
  const read = { rps: (one) => one.rps, rate: (one) => one.rps, errors: (one) => one.errorShare * 100 }[name] ?? ((one) => one[name]);
  const wanted = Number.parseFloat(limit);
  return (one) => {
    const value = read(one);
    if (value === null || value === undefined) return false;
    return { ">": value > wanted, "<": value < wanted, ">=": value >= wanted, "<=": value <= wanted, "=": value === wanted }[sign];
  };
}

function named(word) {
  return (one) => [one.title, one.version, one.namespace, one.workload, one.service, one.protocol].some((part) => String(part ?? "").toLowerCase().includes(word));
}

/** Ids of nodes and edges that fit, or null when nothing is asked. */
export function find(model, text) {
  const parts = text.toLowerCase().split(/\s+/).filter(Boolean).map(test);
  if (parts.length === 0) return null;
  const found = new Set();
  for (const list of [model.nodes, model.edges]) for (const [id, one] of list) if (parts.every((fits) => fits(one))) found.add(id);
  return found;
}
