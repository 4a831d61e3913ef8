/** Builds the page: panels, their values, and the controls. */

import { Connection } from "./connection.js";
import { Panel } from "./panel.js";
import { setClock, setLength } from "./range.js";
import { Status } from "./status.js";
import "./popover.js";
import "./theme.js";

const definition = JSON.parse(document.getElementById("definition").textContent);
const panels = new Map(definition.panels.map((panel) => [panel.id, new Panel(panel)]));
const status = new Status();
const connection = new Connection(address());

function address() {
  return `/d/${definition.uid}/values${location.search}`;
}

function showSpan() {
  const chosen = new URLSearchParams(location.search).get("var-span");
  setLength(definition.seconds);
  for (const link of document.querySelectorAll("[data-span]")) {
    const { span, seconds } = link.dataset;
    const isChosen = chosen === null ? link.hasAttribute("data-default") : span === chosen;
    if (isChosen) setLength(Number(seconds));
    if (isChosen) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function follow() {
  showSpan();
  connection.move(address());
}

document.querySelector(".spans")?.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  follow();
});
addEventListener("popstate", follow);

const pause = document.getElementById("pause");
pause.addEventListener("click", () => {
  connection.wanted = !connection.wanted;
  pause.setAttribute("aria-pressed", String(!connection.wanted));
  status.pause(!connection.wanted);
  connection.adapt();
});

connection.addEventListener("state", ({ detail }) => status.connected(detail));
connection.addEventListener("beat", ({ detail }) => setClock(detail));
connection.addEventListener("pulse", ({ detail }) => status.pulsed(detail));
connection.addEventListener("panel", ({ detail }) => panels.get(detail.panel)?.receive(detail));

showSpan();
connection.adapt();
