/** A panel on the page. Its kind draws the body. */

import { Bars } from "./bars.js";
import { element, write } from "./elements.js";
import { Grid } from "./grid.js";
import { Lines } from "./lines.js";
import { Stat } from "./stat.js";
import { onTheme } from "./theme.js";

const KINDS = { stat: Stat, barchart: Bars, timeseries: Lines, table: Grid };

export class Panel {
  constructor(definition) {
    this.section = document.getElementById(`panel-${definition.id}`);
    const body = this.section.querySelector(".body");
    this.view = new KINDS[definition.type](body, definition);
    this.error = element("p", { className: "error", hidden: true });
    body.append(this.error);
    const button = this.section.querySelector(".as-table");
    button?.addEventListener("click", () => {
      const pressed = this.section.classList.toggle("tabular");
      button.setAttribute("aria-pressed", String(pressed));
    });
    onTheme(() => this.message && this.view.draw(this.message));
  }

  /** Shows the server's message: values, or the reason why there are none. */
  receive(message) {
    const failed = message.error !== undefined;
    this.section.ariaBusy = "false";
    this.section.classList.toggle("failed", failed);
    this.error.hidden = !failed;
    write(this.error, message.error ?? "");
    this.message = failed ? undefined : message;
    if (!failed) this.view.draw(message);
  }
}
