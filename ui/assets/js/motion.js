// One clock for everything that moves: stops when the page is hidden, and when people ask for less motion.

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const movers = new Set();
let frame = 0;
let before = 0;

function tick(now) {
  const passed = Math.min(100, now - before);
  before = now;
  for (const move of movers) move(passed, now);
  frame = movers.size > 0 ? requestAnimationFrame(tick) : 0;
}

function settle() {
  cancelAnimationFrame(frame);
  frame = 0;
  if (!document.hidden && !calm.matches && movers.size > 0) {
    before = performance.now();
    frame = requestAnimationFrame(tick);
  }
}

document.addEventListener("visibilitychange", settle);
calm.addEventListener("change", () => { settle(); dispatchEvent(new Event("motionchange")); });

/** Calls `move(milliseconds passed)` on every frame until the returned function is called. */
export function moving(move) {
  movers.add(move);
  settle();
  return () => { movers.delete(move); settle(); };
}

export const isCalm = () => calm.matches;
