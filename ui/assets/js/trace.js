// One trace: loads it and shows its waterfall.

import { get } from "./api.js";
import { byId, text } from "./dom.js";
import { clock, plural, time } from "./format.js";
import { empty, problem } from "./notice.js";
import { pulse } from "./pulse.js";
import { readTrace, shortName } from "./tracing/model.js";
import { waterfall } from "./tracing/waterfall.js";

const { id } = byId("trace").dataset;

async function load() {
  try {
    const answer = await get(`/api/tracing/traces/${encodeURIComponent(id)}`);
    problem(null);
    pulse("live", "Loaded");
    const raw = answer.data?.[0];
    if (!raw || !raw.spans?.length) {
      text(byId("summary"), "");
      return byId("waterfall").replaceChildren(empty("No such trace", "It was never kept, or it is older than what is kept. Errors and slow requests are kept longest."));
    }
    const trace = readTrace(raw);
    text(byId("title"), shortName(trace.root.name));
    const failed = trace.errors > 0 ? `, ${plural(trace.errors, "span")} failed` : "";
    text(byId("summary"), `${time(trace.duration / 1000)} at ${clock(trace.start / 1e6)}: ${plural(trace.spans.length, "span")} of ${plural(trace.services.length, "service")}${failed}.`);
    waterfall(byId("waterfall"), trace);
  } catch (error) {
    pulse("lost", "No signal");
    problem(error);
    setTimeout(load, 3000);
  }
}

load();
