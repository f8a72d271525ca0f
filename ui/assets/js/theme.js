// Applies the kept theme before the first paint. A classic script in the head, so that no page flashes.
(() => {
  try {
    const kept = localStorage.getItem("orrery-theme");
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch {
    // Storage may be forbidden; the system's preference holds then.
  }
})();
