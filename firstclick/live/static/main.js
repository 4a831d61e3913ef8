/** Puts the page together: panels, their values, and what a reader can do. */

import { Bars } from "./bars.js";
import { Connection } from "./connection.js";
import { element, write } from "./elements.js";
import { Grid } from "./grid.js";
import { Lines } from "./lines.js";
import { setClock, setLength } from "./range.js";
import { Stat } from "./stat.js";
import { Status } from "./status.js";
import "./popover.js";
import "./theme.js";

const KINDS = { stat: Stat, barchart: Bars, timeseries: Lines, table: Grid };

const definition = JSON.parse(document.getElementById("definition").textContent);
const panels = new Map(definition.panels.map((panel) => [panel.id, new Panel(panel)]));
const status = new Status();
const connection = new Connection(address());

function Panel(definition) {
  const section = document.getElementById(`panel-${definition.id}`);
  const body = section.querySelector(".body");
  const view = new KINDS[definition.type](body, definition);
  const error = element("p", { className: "error", hidden: true });
  body.append(error);
  const button = section.querySelector(".as-table");
  button?.addEventListener("click", () => {
    const pressed = section.classList.toggle("tabular");
    button.setAttribute("aria-pressed", String(pressed));
  });
  this.receive = (message) => {
    section.ariaBusy = "false";
    error.hidden = message.error === undefined;
    write(error, message.error ?? "");
    section.classList.toggle("failed", !error.hidden);
    if (error.hidden) view.draw(message);
  };
}

function address() {
  return `/d/${definition.uid}/values${location.search}`;
}

function showSpan() {
  const chosen = new URLSearchParams(location.search).get("var-span");
  setLength(definition.seconds);
  for (const link of document.querySelectorAll("[data-span]")) {
    const current = chosen === null ? link.hasAttribute("data-default") : link.dataset.span === chosen;
    if (current) {
      link.setAttribute("aria-current", "true");
      setLength(Number(link.dataset.seconds));
    } else {
      link.removeAttribute("aria-current");
    }
  }
}

connection.addEventListener("state", ({ detail }) => status.connected(detail));
connection.addEventListener("pulse", ({ detail }) => status.pulsed(detail));
connection.addEventListener("beat", ({ detail }) => setClock(detail));
connection.addEventListener("panel", ({ detail }) => panels.get(detail.panel)?.receive(detail));

document.querySelector(".spans")?.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  showSpan();
  connection.move(address());
});
addEventListener("popstate", () => {
  showSpan();
  connection.move(address());
});

const pause = document.getElementById("pause");
pause.addEventListener("click", () => {
  connection.wanted = !connection.wanted;
  pause.setAttribute("aria-pressed", String(!connection.wanted));
  status.pause(!connection.wanted);
  connection.adapt();
});

showSpan();
connection.adapt();
