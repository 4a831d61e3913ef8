/** The theme: the system's, until the reader chooses the other one. */

const dark = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const listeners = new Set();

function system() {
  return dark.matches ? "dark" : "light";
}

function show(theme) {
  root.dataset.theme = theme;
  button.setAttribute("aria-pressed", String(theme === "dark"));
  listeners.forEach((listener) => listener());
}

const button = document.getElementById("theme");
button.setAttribute("aria-pressed", String(root.dataset.theme === "dark"));
button.addEventListener("click", () => {
  const theme = root.dataset.theme === "dark" ? "light" : "dark";
  try {
    if (theme === system()) localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // The browser may forbid storage: then the choice lasts until the page is closed
  }
  show(theme);
});
dark.addEventListener("change", () => show(system()));

/** Calls `listener` after each change of the theme. */
export function onTheme(listener) {
  listeners.add(listener);
}

/** Returns a colour of the current theme, for example `token("muted")`. */
export function token(name) {
  return getComputedStyle(root).getPropertyValue(`--${name}`).trim();
}
