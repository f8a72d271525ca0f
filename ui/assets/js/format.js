// Numbers and times as people read them.

const dash = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);

function digits(value) {
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1).replace(/\.0$/, "");
  return value.toFixed(2).replace(/\.?0+$/, "");
}

/** `12.3`, `4.1k`: no unit. */
export function count(value) {
  if (!known(value)) return dash;
  if (Math.abs(value) >= 1e6) return `${digits(value / 1e6)}M`;
  if (Math.abs(value) >= 1e4) return `${digits(value / 1e3)}k`;
  return digits(value);
}

export const rate = (value) => (known(value) ? `${count(value)}/s` : dash);

/** Milliseconds in, `4.1 ms` or `1.24 s` out. */
export function time(value) {
  if (!known(value)) return dash;
  if (value === 0) return "0 ms";
  if (value >= 60000) return `${digits(value / 60000)} min`;
  if (value >= 1000) return `${digits(value / 1000)} s`;
  if (value >= 100) return `${value.toFixed(0)} ms`;
  return value > 0 && value < 0.1 ? `${digits(value * 1000)} µs` : `${value >= 10 ? value.toFixed(0) : value.toFixed(1)} ms`;
}

/** A ratio from 0 to 1 as per cent. */
export function share(value) {
  if (!known(value)) return dash;
  const percent = value * 100;
  if (percent > 0 && percent < 0.1) return "<0.1%";
  return `${percent >= 10 ? percent.toFixed(0) : percent.toFixed(1).replace(/\.0$/, "")}%`;
}

export function bytes(value) {
  if (!known(value)) return dash;
  for (const [limit, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (Math.abs(value) >= limit) return `${digits(value / limit)} ${unit}`;
  }
  return `${digits(value)} B`;
}

export const byteRate = (value) => (known(value) ? `${bytes(value)}/s` : dash);

/** Unix seconds as local time of day. */
export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** Unix seconds as local hours and minutes. */
export function hour(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

/** Seconds as `42 s`, `5 min`, `2 h`. */
export function span(seconds) {
  if (!known(seconds)) return dash;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export const plural = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
