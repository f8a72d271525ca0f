// The frame of every page: the switch between light and dark.

const dark = matchMedia("(prefers-color-scheme: dark)");

function shown() {
  return document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
}

document.getElementById("theme").addEventListener("click", () => {
  const next = shown() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("orrery-theme", next);
  } catch {
    // Not kept, but applied.
  }
  dispatchEvent(new Event("themechange"));
});
dark.addEventListener("change", () => dispatchEvent(new Event("themechange")));
