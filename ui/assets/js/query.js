// Keeps what a page shows in the address, so that it can be bookmarked and shared. Defaults stay out of it.

/** `defaults` names the keys; returns the current values and `set(changes)`. */
export function query(defaults) {
  const state = { ...defaults };
  const given = new URLSearchParams(location.search);
  for (const name of Object.keys(defaults)) if (given.has(name)) state[name] = given.get(name);
  function set(changes) {
    Object.assign(state, changes);
    const now = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(state)) {
      if (name in defaults && value === defaults[name]) now.delete(name);
      else now.set(name, value);
    }
    const text = now.toString();
    history.replaceState(null, "", text === "" ? location.pathname : `${location.pathname}?${text}`);
  }
  return { state, set };
}

const WINDOWS = [["60s", "1 minute"], ["300s", "5 minutes"], ["600s", "10 minutes"], ["1800s", "30 minutes"], ["3600s", "1 hour"]];

/** Fills a select with time windows and calls back on change. A window from the address that is not listed is kept. */
export function windows(select, value, changed) {
  const listed = WINDOWS.some(([seconds]) => seconds === value) ? WINDOWS : [[value, value], ...WINDOWS];
  for (const [seconds, label] of listed) select.append(new Option(label, seconds, false, seconds === value));
  select.addEventListener("change", () => changed(select.value));
}
