// Fetches JSON from this origin, once or again and again. Pauses while nobody looks.

import { pulse } from "./pulse.js";

/** `parameters` without a value are left out. Rejects with a message for people. */
export async function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  const address = query.size > 0 ? `${path}?${query}` : path;
  let response;
  try {
    response = await fetch(address, { headers: { accept: "application/json" }, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The telemetry service cannot be reached. Is it running?");
  }
  if (!response.ok) {
    const detail = (await response.text().catch(() => "")).slice(0, 300);
    throw new Error(`${path} answered ${response.status}${detail.startsWith("<") || detail === "" ? "" : `: ${detail}`}`);
  }
  try {
    return await response.json();
  } catch {
    throw new Error(`${path} did not answer with JSON.`);
  }
}

/** Runs `load` now and every `seconds`, never twice at once; `run.now()` starts it early and drops an older answer. */
export function every(seconds, load, failed) {
  let timer = 0;
  let turn = 0;
  let abort = new AbortController();
  async function run() {
    clearTimeout(timer);
    abort.abort();
    abort = new AbortController();
    turn += 1;
    const mine = turn;
    try {
      await load(abort.signal);
      if (mine === turn) {
        pulse("live", "Live");
        failed(null);
      }
    } catch (error) {
      if (mine === turn && error.name !== "AbortError") {
        pulse("lost", "No signal");
        failed(error);
      }
    }
    if (mine === turn && !document.hidden) timer = setTimeout(run, seconds * 1000);
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) run();
    else clearTimeout(timer);
  });
  run();
  return { now: run };
}
