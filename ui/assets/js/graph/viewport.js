// Pan, zoom and fit: one transform for the drawing and for the particles.

const LEAST = 0.12;
const MOST = 3;
const EDGE = 28;

/** `moved(view)` is called with {x, y, k} after each change. */
export function viewport(stage, moved) {
  const view = { x: 0, y: 0, k: 1 };
  let size = { width: 0, height: 0 };
  let touched = false;
  const pointers = new Map();
  let dragged = 0;

  function change(x, y, k) {
    view.x = x;
    view.y = y;
    view.k = k;
    moved(view);
  }

  function zoom(factor, at = { x: stage.clientWidth / 2, y: stage.clientHeight / 2 }) {
    touched = true;
    const k = Math.min(MOST, Math.max(LEAST, view.k * factor));
    change(at.x - ((at.x - view.x) / view.k) * k, at.y - ((at.y - view.y) / view.k) * k, k);
  }

  function fit() {
    touched = false;
    const [wide, high] = [stage.clientWidth, stage.clientHeight];
    if (!(size.width > 0) || wide === 0 || high === 0) return;
    const k = Math.min(1.25, Math.max(LEAST, Math.min((wide - EDGE) / size.width, (high - 2 * EDGE) / size.height)));
    change((wide - size.width * k) / 2, (high - size.height * k) / 2, k);
  }

  function pan(x, y) {
    touched = true;
    change(view.x + x, view.y + y, view.k);
  }

  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), place(event));
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button, a, input, .legend, .vacant")) return;
    pointers.set(event.pointerId, place(event));
    dragged = 0;
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
      zoom(apart(now, other) / apart(before, other), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else {
      dragged += Math.hypot(now.x - before.x, now.y - before.y);
      if (dragged > 3) {
        if (!stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
        stage.dataset.dragging = "";
        pan(now.x - before.x, now.y - before.y);
      }
    }
    pointers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      delete stage.dataset.dragging;
    });
  }
  new ResizeObserver(() => (touched ? moved(view) : fit())).observe(stage);

  return {
    zoom, fit, pan,
    /** Brings a point of the drawing into the left `room` pixels of the stage. */
    reveal(at, room) {
      const [x, y] = [at.x * view.k + view.x, at.y * view.k + view.y];
      const near = 90;
      const into = (value, most) => (value < near ? near - value : value > most - near ? most - near - value : 0);
      const [right, down] = [into(x, room), into(y, stage.clientHeight)];
      if (right !== 0 || down !== 0) pan(right, down);
    },
    /** Tells the size of the drawing; fits it unless the viewer has moved it. */
    resize(width, height) {
      if (width === size.width && height === size.height) return;
      size = { width, height };
      if (!touched) fit();
    },
    wasDragged: () => dragged > 3,
  };
}
