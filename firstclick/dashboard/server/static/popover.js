/** Places a panel's description beside its i button. */

for (const about of document.querySelectorAll("[popover]")) {
  const button = document.querySelector(`[popovertarget="${about.id}"]`);
  about.addEventListener("toggle", ({ newState }) => {
    button.setAttribute("aria-expanded", String(newState === "open"));
    if (newState !== "open") return;
    const at = button.getBoundingClientRect();
    const left = Math.min(at.left, innerWidth - about.offsetWidth - 12);
    const below = at.bottom + 6;
    const fits = below + about.offsetHeight < innerHeight;
    about.style.left = `${Math.max(12, left)}px`;
    about.style.top = `${fits ? below : at.top - about.offsetHeight - 6}px`;
  });
}
