// Reading series: [[unix seconds, value or null], ...].

/** Runs of neighbouring values; a null, or a hole in time, starts a new run. */
export function runs(points) {
  const step = usualStep(points);
  const all = [];
  let run = [];
  let before = null;
  for (const [time, value] of points) {
    const hole = before !== null && step > 0 && time - before > step * 2.5;
    if (value === null || value === undefined || hole) {
      if (run.length > 0) all.push(run);
      run = [];
    }
    if (value !== null && value !== undefined) run.push([time, value]);
    before = time;
  }
  if (run.length > 0) all.push(run);
  return all;
}

function usualStep(points) {
  if (points.length < 3) return 0;
  const steps = [];
  for (let at = 1; at < Math.min(points.length, 24); at += 1) steps.push(points[at][0] - points[at - 1][0]);
  return steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)];
}

/** The last value that is known. */
export function last(points) {
  for (let at = (points?.length ?? 0) - 1; at >= 0; at -= 1) if (points[at][1] !== null) return points[at][1];
  return null;
}

/** Index of the point nearest to a time. */
export function nearest(points, time) {
  let low = 0;
  let high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < time) low = middle;
    else high = middle;
  }
  return Math.abs(points[low]?.[0] - time) <= Math.abs(points[high]?.[0] - time) ? low : high;
}

/** Round steps from 0 to at least `most`. */
export function ticks(most, wanted = 3) {
  if (!(most > 0)) return [0, 1];
  const raw = most / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const all = [];
  for (let at = 0; at <= Math.ceil(most / step - 0.001); at += 1) all.push(at * step);
  return all;
}
