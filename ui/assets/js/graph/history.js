// The last minutes of each node and edge, kept in the page for the side panel's course lines.

const LENGTH = 240;

export function history() {
  const lines = new Map();
  return {
    add(time, model) {
      const seen = new Set();
      for (const list of [model.nodes, model.edges]) {
        for (const [id, one] of list) {
          seen.add(id);
          const line = lines.get(id) ?? { rps: [], errors: [] };
          line.rps.push([time, one.isTcp ? one.bps : one.rps]);
          line.errors.push([time, one.errorRps]);
          if (line.rps.length > LENGTH) {
            line.rps.shift();
            line.errors.shift();
          }
          lines.set(id, line);
        }
      }
      for (const id of lines.keys()) if (!seen.has(id)) lines.delete(id);
    },
    of: (id) => lines.get(id) ?? { rps: [], errors: [] },
    clear: () => lines.clear(),
  };
}
